//! Our documents before judges that have nothing to do with Kubernetes: go-openapi for v2, kin-openapi for v3.

use std::path::Path;
use std::process::Command;

use bulward::rest::resource::Registry;
use serde_json::{Value, json};

use super::{documents, get, json, registry};
use crate::harness::{guardian, programs};

/// Every document of a server, with a file name each.
fn all(registry: &Registry) -> Vec<(String, Value)> {
    let documents = documents(registry);
    let index = json(&get(&documents, "/openapi/v3", None));
    let mut all = vec![("v2.json".to_owned(), json(&get(&documents, "/openapi/v2", None)))];
    for (name, link) in index["paths"].as_object().expect("paths") {
        let link = link["serverRelativeURL"].as_str().expect("a link");
        let name = format!("v3-{}.json", name.replace('/', "-"));
        all.push((name, json(&get(&documents, link, None))));
    }
    all
}

/// What the judges print, and whether they found nothing.
async fn judged(documents: &[(String, Value)]) -> (bool, String) {
    let program = programs::find("openapi").await.unwrap_or_else(|why| panic!("{why}"));
    let folder = guardian::temporary("openapi");
    let write = |(name, document): &(String, Value)| {
        let path = folder.path().join(name);
        std::fs::write(&path, document.to_string()).expect("write a document");
        path
    };
    let paths: Vec<_> = documents.iter().map(write).collect();
    run(&program, paths).await
}

async fn run(program: &Path, paths: Vec<std::path::PathBuf>) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(paths);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("the judge is waited for").expect("the judge runs");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

#[tokio::test]
async fn independent_validators_find_nothing() {
    for registry in [registry::tenancy(), registry::gadgets(), crate::wardle::registry()] {
        let documents = all(&registry);
        let (valid, said) = judged(&documents).await;
        assert!(valid, "{said}");
        assert!(
            said.contains(&format!("{} documents are valid", documents.len())),
            "{said}"
        );
    }
}

/// What must be found: otherwise the test above would prove nothing.
#[tokio::test]
async fn independent_validators_find_what_is_broken() {
    let item = "/paths/~1apis~1apiserver.bulward.io~1v1alpha1~1organizations~1{name}";
    let v3_schema = "/components/schemas/io.bulward.apiserver.v1alpha1.Organization";
    let v2_schema = "/definitions/io.bulward.apiserver.v1alpha1.Organization";
    let v3 = "v3-apis-apiserver.bulward.io-v1alpha1.json";
    let nowhere = json!({"$ref": "#/components/schemas/Nothing"});
    let faults = [
        (v3, format!("{item}/parameters"), json!([])),
        (v3, format!("{item}/get/responses"), json!({})),
        (
            v3,
            format!("{item}/get/operationId"),
            json!("listApiserverBulwardIoV1alpha1Organization"),
        ),
        (v3, format!("{v3_schema}/type"), json!("thing")),
        (v3, format!("{v3_schema}/properties/spec"), nowhere),
        (
            v3,
            format!("{v3_schema}/properties/spec/default"),
            json!({"owners": "all"}),
        ),
        ("v2.json", format!("{item}/parameters"), json!([])),
        ("v2.json", format!("{item}/get/responses"), json!({})),
        (
            "v2.json",
            format!("{item}/get/operationId"),
            json!("listApiserverBulwardIoV1alpha1Organization"),
        ),
        ("v2.json", format!("{v2_schema}/type"), json!("thing")),
        (
            "v2.json",
            format!("{v2_schema}/properties/spec"),
            json!({"$ref": "#/definitions/Nothing"}),
        ),
    ];
    let sound = all(&registry::tenancy());
    let mut broken = Vec::new();
    for (number, (file, pointer, fault)) in faults.iter().enumerate() {
        let (_, document) = sound.iter().find(|(name, _)| name == file).expect("a document");
        let mut document = document.clone();
        let (above, last) = pointer.rsplit_once('/').expect("a pointer");
        document.pointer_mut(above).expect("the pointer leads somewhere")[last] = fault.clone();
        broken.push((format!("broken-{number}.json"), document));
    }
    let (valid, said) = judged(&broken).await;
    assert!(!valid, "{said}");
    for ((name, _), fault) in broken.iter().zip(&faults) {
        assert!(said.contains(&format!("{name}: ")), "{fault:?} was not found:\n{said}");
    }
}
