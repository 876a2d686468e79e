//! What is decided about a write by who makes it, beyond what authorization allowed.
//!
//! The places are those of the Go server (k8s.io/apiserver pkg/endpoints/handlers/{create,update,patch,delete}.go): an object
//! may be changed before it is prepared and validated, and is judged as it will be stored. Both happen anew for whatever
//! object a write comes to start from.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::caller::Target;
use super::store::update::Part;
use crate::wire::meta;
use crate::wire::options::Sent;
use crate::wire::status::Status;

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An object comes to be, by a create or by an apply.
    Create,
    /// An object changes, by an update, a patch or an apply.
    Update,
    /// An object is deleted, alone or with its collection.
    Delete,
}

impl Operation {
    /// As AdmissionReview calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A write, on its way.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// Who writes, and where. The name is empty where an object is created.
    pub target: &'a Target<'a>,
    /// What is done.
    pub operation: Operation,
    /// To which half.
    pub part: Part,
    /// What is to be stored, in the version of the request and complete with `apiVersion`, `kind` and `managedFields`; null
    /// for a deletion. While an admission changes the object, this is null as well: the object is in its hands.
    pub new: &'a Value,
    /// What is stored, in the same form; null for a new object.
    pub old: &'a Value,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// What the request asked for beside its body.
    pub options: &'a Sent,
    /// Makes what somebody has changed an object of the kind again.
    pub(super) tidy: &'a Tidy<'a>,
}

/// Types, unknown fields and defaults, as for a body.
pub(super) type Tidy<'a> = dyn Fn(&mut Value) -> Result<(), Status> + Send + Sync + 'a;

impl Attempt<'_> {
    /// The name of the object; empty while the name of a new one is still to be generated.
    pub fn name<'a>(&'a self, object: &'a Value) -> &'a str {
        match self.target.name {
            "" => meta::name(object),
            name => name,
        }
    }

    /// The subresource, or the empty text.
    pub fn subresource(&self) -> &'static str {
        match self.part {
            Part::Main => "",
            Part::Status => "status",
            Part::Finalize => "finalize",
        }
    }

    /// The request's options as JSON (`meta.k8s.io/v1`): a patch is an update, and an apply that creates is a create.
    pub fn options(&self) -> Value {
        self.options.to_value(match self.operation {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
        })
    }

    /// Makes what somebody has changed an object of the kind again: of the right types, without unknown fields, and with
    /// its defaults. What an admission leaves goes through it in any case; whoever shows the object around before calls it
    /// first.
    ///
    /// # Errors
    /// It is no such object.
    pub fn tidy(&self, object: &mut Value) -> Result<(), Status> {
        (self.tidy)(object)
    }
}

/// Decides about writes of objects.
///
/// A refusal stands as it is: whoever decides by what the watch cache holds lets it catch up before refusing.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// Whether there is anything to decide about such writes. Asked of every write, and answered without any input or output;
    /// where the answer is no, nothing is made ready for the other two.
    fn handles(&self, target: &Target<'_>, operation: Operation) -> bool;

    /// Changes an object on its way, which is null for a deletion, or refuses it. Says whether something was changed.
    ///
    /// # Errors
    /// What the caller is told.
    async fn mutate(&self, _attempt: &Attempt<'_>, _object: &mut Value) -> Result<bool, Status> {
        Ok(false)
    }

    /// Refuses a write as it will be stored, or not.
    ///
    /// # Errors
    /// What the caller is told.
    async fn validate(&self, _attempt: &Attempt<'_>) -> Result<(), Status> {
        Ok(())
    }
}

/// Several, in their order: all of them change, then all of them judge.
pub struct Chain(pub Vec<Arc<dyn Admission>>);

#[async_trait]
impl Admission for Chain {
    fn handles(&self, target: &Target<'_>, operation: Operation) -> bool {
        self.0.iter().any(|one| one.handles(target, operation))
    }

    async fn mutate(&self, attempt: &Attempt<'_>, object: &mut Value) -> Result<bool, Status> {
        let mut changed = false;
        for one in &self.0 {
            if one.handles(attempt.target, attempt.operation) {
                changed |= one.mutate(attempt, object).await?;
            }
        }
        Ok(changed)
    }

    async fn validate(&self, attempt: &Attempt<'_>) -> Result<(), Status> {
        for one in &self.0 {
            if one.handles(attempt.target, attempt.operation) {
                one.validate(attempt).await?;
            }
        }
        Ok(())
    }
}
