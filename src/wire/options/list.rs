//! What a list, a watch or a get asks for.

use super::{Query, refuse};
use crate::wire::quote::parse_uint;
use crate::wire::selector::{FieldSelector, LabelSelector};
use crate::wire::status::Status;
use crate::wire::validation::FieldError;

/// `resourceVersionMatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    /// The state at exactly the given revision.
    Exact,
    /// Any state at the given revision or later.
    NotOlderThan,
    /// Something else; validation refuses it.
    Unknown(String),
}

/// The options of list, watch and deletecollection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Which objects, by their labels.
    pub label_selector: LabelSelector,
    /// Which objects, by their fields.
    pub field_selector: FieldSelector,
    /// Whether to watch instead of list.
    pub watch: bool,
    /// Whether BOOKMARK events are wanted.
    pub allow_watch_bookmarks: bool,
    /// As given; see [`parse_resource_version`].
    pub resource_version: String,
    /// How `resource_version` is meant.
    pub resource_version_match: Option<VersionMatch>,
    /// When a watch ends, in seconds.
    pub timeout_seconds: Option<i64>,
    /// The size of a page; 0 or less for everything.
    pub limit: i64,
    /// `continue`: where the page before ended.
    pub continue_token: String,
    /// Whether a watch starts with the present state.
    pub send_initial_events: Option<bool>,
}

/// The options of get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetOptions {
    /// As given; see [`parse_resource_version`].
    pub resource_version: String,
}

/// Reads a revision; empty and `0` both give 0.
///
/// # Errors
/// The text of Kubernetes' error; a list answers it in a 400 after `invalid resource version: `.
pub fn parse_resource_version(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    parse_uint(text).map_err(|why| FieldError::invalid("resourceVersion", text, &why).to_string())
}

impl VersionMatch {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "" => None,
            "Exact" => Some(Self::Exact),
            "NotOlderThan" => Some(Self::NotOlderThan),
            other => Some(Self::Unknown(other.to_owned())),
        }
    }

    /// As the parameter spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact => "Exact",
            Self::NotOlderThan => "NotOlderThan",
            Self::Unknown(text) => text,
        }
    }
}

impl GetOptions {
    /// Reads the query.
    pub fn parse(query: &Query) -> Self {
        Self {
            resource_version: query.text("resourceVersion"),
        }
    }

    /// The least revision that the answer must have; `None` asks for the newest one.
    ///
    /// # Errors
    /// 400 for what is no number.
    pub fn revision(&self) -> Result<Option<u64>, Status> {
        revision(&self.resource_version)
    }
}

impl ListOptions {
    /// Reads the query, applies the defaults and validates: the whole of Kubernetes' `listOpts` but for the names of fields.
    ///
    /// # Errors
    /// 400 for a parameter that cannot be read, 422 for a combination that makes no sense.
    pub fn decode(query: &Query) -> Result<Self, Status> {
        let mut options = Self::parse(query)?;
        options.set_defaults();
        options.validate()?;
        Ok(options)
    }

    /// Reads the query, no more.
    ///
    /// # Errors
    /// 400 for a parameter that cannot be read.
    pub fn parse(query: &Query) -> Result<Self, Status> {
        // numbers first, then selectors: the order in which Kubernetes converts, and so the error that it reports
        let timeout_seconds = query.integer("timeoutSeconds")?;
        let limit = query.integer("limit")?.unwrap_or(0);
        let label_selector = LabelSelector::parse(query.get("labelSelector").unwrap_or_default());
        let label_selector = label_selector.map_err(Status::bad_request)?;
        let field_selector = FieldSelector::parse(query.get("fieldSelector").unwrap_or_default());
        let field_selector = field_selector.map_err(Status::bad_request)?;
        Ok(Self {
            label_selector,
            field_selector,
            watch: query.flag("watch"),
            allow_watch_bookmarks: query.flag("allowWatchBookmarks"),
            resource_version: query.text("resourceVersion"),
            resource_version_match: VersionMatch::parse(query.get("resourceVersionMatch").unwrap_or_default()),
            timeout_seconds,
            limit,
            continue_token: query.text("continue"),
            send_initial_events: query.optional_flag("sendInitialEvents"),
        })
    }

    /// A watch from nowhere or from 0 starts with the present state
    /// (k8s.io/apimachinery pkg/apis/meta/internalversion/defaults.go).
    pub fn set_defaults(&mut self) {
        let unasked = self.send_initial_events.is_none() && self.resource_version_match.is_none();
        if self.watch && unasked && matches!(self.resource_version.as_str(), "" | "0") {
            self.send_initial_events = Some(true);
            self.resource_version_match = Some(VersionMatch::NotOlderThan);
        }
    }

    /// Refuses combinations that make no sense, for a list or for a watch as [`ListOptions::watch`] says.
    ///
    /// # Errors
    /// 422.
    pub fn validate(&self) -> Result<(), Status> {
        if self.watch {
            self.validate_watch()
        } else {
            self.validate_list()
        }
    }

    /// Refuses what makes no sense for a list.
    ///
    /// # Errors
    /// 422.
    pub fn validate_list(&self) -> Result<(), Status> {
        let mut errors = Vec::new();
        let mut forbid = |field: &str, detail: &str| errors.push(FieldError::forbidden(field, detail));
        let field = "resourceVersionMatch";
        if let Some(wanted) = &self.resource_version_match {
            if self.resource_version.is_empty() {
                forbid(
                    field,
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                );
            }
            if !self.continue_token.is_empty() {
                forbid(field, "resourceVersionMatch is forbidden when continue is provided");
            }
            if let VersionMatch::Unknown(text) = wanted {
                errors.push(FieldError::not_supported(field, text, &["Exact", "NotOlderThan", ""]));
            } else if *wanted == VersionMatch::Exact && self.resource_version == "0" {
                forbid(
                    field,
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                );
            }
        }
        if self.send_initial_events.is_some() {
            let detail = "sendInitialEvents is forbidden for list";
            errors.push(FieldError::forbidden("sendInitialEvents", detail));
        }
        refuse("ListOptions", &errors)
    }

    /// Refuses what makes no sense for a watch.
    ///
    /// # Errors
    /// 422.
    pub fn validate_watch(&self) -> Result<(), Status> {
        let mut errors = Vec::new();
        let field = "resourceVersionMatch";
        let not_older = self.resource_version_match == Some(VersionMatch::NotOlderThan);
        if self.send_initial_events.is_some() && !not_older {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.push(FieldError::forbidden(field, detail));
        }
        if let Some(wanted) = &self.resource_version_match {
            if self.send_initial_events.is_none() {
                let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                errors.push(FieldError::forbidden(field, detail));
            }
            if !not_older {
                errors.push(FieldError::not_supported(field, wanted.as_str(), &["NotOlderThan"]));
            }
            if !self.continue_token.is_empty() {
                let detail = "resourceVersionMatch is forbidden when continue is provided";
                errors.push(FieldError::forbidden(field, detail));
            }
        }
        refuse("ListOptions", &errors)
    }

    /// The revision of a list or watch; `None` where it was not given.
    ///
    /// # Errors
    /// 400 for what is no number.
    pub fn revision(&self) -> Result<Option<u64>, Status> {
        revision(&self.resource_version)
    }
}

fn revision(text: &str) -> Result<Option<u64>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = parse_resource_version(text);
    parsed
        .map(Some)
        .map_err(|why| Status::bad_request(format!("invalid resource version: {why}")))
}
