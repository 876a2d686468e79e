//! What may be said about etcd.

/// Brings an etcd prefix into the form `/a/b`.
///
/// # Errors
/// When it is empty, not plain, or could meet the keys of a kube-apiserver on the same etcd (`/registry`): comparing
/// whole path segments, so `/registry2` is fine.
pub fn parse_prefix(text: &str) -> Result<String, String> {
    let segments: Vec<&str> = text.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.is_empty() {
        return Err(format!(
            "{text:?} would cover every key of the etcd cluster, choose a prefix of our own such as /bulward"
        ));
    }
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) || text.contains(char::is_control) {
        return Err(format!("{text:?} is no plain path, choose one such as /bulward"));
    }
    if segments[0] == "registry" {
        return Err(format!(
            "{text:?} is where kube-apiserver keeps its objects, choose a prefix of our own such as /bulward"
        ));
    }
    Ok(format!("/{}", segments.join("/")))
}

/// Checks one entry of `--etcd-servers`.
///
/// # Errors
/// When it is no URL of the form `https://host:port`.
pub fn check_endpoint(text: &str) -> Result<(), String> {
    let wrong = || format!("{text:?} is no URL of an etcd server, write for example https://etcd-0.etcd:2379");
    let uri: http::Uri = text.parse().map_err(|_| wrong())?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().is_some_and(|host| !host.is_empty());
    // User names in URLs are not passed on; --etcd-username is.
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !text.contains('@');
    if scheme && host && bare { Ok(()) } else { Err(wrong()) }
}
