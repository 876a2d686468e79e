use std::fs;

use super::*;

fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"https://127.0.0.1:1\"{cluster}}}}}]\n\
         users: [{{name: u, user: {{{user}}}}}]\n"
    )
}

async fn error(content: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    if let Some(content) = content {
        fs::write(&path, content).unwrap();
    }
    let outcome = client("--authentication-kubeconfig", Some(&path)).await;
    let error = outcome.err().expect("an error").to_string();
    assert!(
        error.starts_with(&format!("--authentication-kubeconfig {}: ", path.display())),
        "{error}"
    );
    assert!(!error.contains('\n'), "{error}");
    error
}

#[tokio::test]
async fn good_kubeconfig_makes_a_client() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    fs::write(&path, kubeconfig("", "token: abc")).unwrap();
    assert!(client("--kubeconfig", Some(&path)).await.is_ok());
}

#[tokio::test]
async fn every_error_is_one_line() {
    assert!(error(None).await.contains("No such file"));
    error(Some("{")).await;
    assert!(error(Some("apiVersion: v1\nkind: Config\n")).await.contains("context"));
    error(Some(&kubeconfig(", certificate-authority-data: bm9uc2Vuc2U=", ""))).await;
    let missing = error(Some(&kubeconfig(
        "",
        "client-certificate: none.crt, client-key: none.key",
    )))
    .await;
    assert!(missing.contains("none."), "{missing}");
    let bad = "client-certificate-data: bm9uc2Vuc2U=, client-key-data: bm9uc2Vuc2U=";
    error(Some(&kubeconfig("", bad))).await;
    let proxy = error(Some(&kubeconfig(", proxy-url: \"http://proxy:1\"", ""))).await;
    assert!(proxy.contains("proxy-url is not supported"), "{proxy}");
}

#[tokio::test]
async fn outside_of_a_cluster_the_flag_is_named() {
    for path in [None, Some(Path::new(""))] {
        match client("--authorization-kubeconfig", path).await {
            Ok(_) => assert!(
                std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
                "these tests run in a pod"
            ),
            Err(error) => {
                let error = error.to_string();
                assert!(
                    error.starts_with("--authorization-kubeconfig is not set and this is no pod"),
                    "{error}"
                );
                assert!(!error.contains('\n'), "{error}");
            }
        }
    }
}
