use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Args,
}

fn election(flags: &[&str]) -> Result<Option<Election>, String> {
    let line = Line::try_parse_from(["test"].iter().chain(flags)).map_err(|error| error.to_string())?;
    line.arguments.election.config("me").map_err(|error| error.to_string())
}

#[test]
fn defaults_are_kube_controller_managers() {
    let wanted = Election {
        identity: "me".to_owned(),
        namespace: "bulward-system".to_owned(),
        name: "bulward-controller-manager".to_owned(),
        lease_duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };
    assert_eq!(election(&[]).unwrap(), Some(wanted.clone()));
    assert_eq!(election(&["--leader-elect"]).unwrap(), Some(wanted.clone()));
    assert_eq!(election(&["--leader-elect=true"]).unwrap(), Some(wanted));
    assert_eq!(election(&["--leader-elect=false"]).unwrap(), None);
}

#[test]
fn times_that_could_make_two_leaders_are_refused() {
    for (flags, wanted) in [
        (
            vec!["--leader-elect-lease-duration=10s"],
            "--leader-elect-lease-duration",
        ),
        (vec!["--leader-elect-lease-duration=15500ms"], "whole seconds"),
        (
            vec!["--leader-elect-renew-deadline=2s"],
            "--leader-elect-renew-deadline",
        ),
        (vec!["--leader-elect-retry-period=0"], "--leader-elect-retry-period"),
        (vec!["--leader-elect-resource-name="], "--leader-elect-resource-name"),
        (
            vec!["--leader-elect-resource-namespace="],
            "--leader-elect-resource-namespace",
        ),
    ] {
        let refused = election(&flags).unwrap_err();
        assert!(refused.contains(wanted), "{flags:?}: {refused}");
    }
}
