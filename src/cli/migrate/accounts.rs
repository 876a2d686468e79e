//! `bulward migrate accounts`: the flags, where the Accounts are read from, and what is printed.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
};
use serde_json::Value;

use super::apply::{Applier, resource};
use super::plan::{Plan, plan};
use super::rules::Rules;
use super::world::World;
use crate::cli::Failure;
use crate::cluster::{self, webhook::told};
use crate::config::parse_duration;

/// Objects a page.
const PAGE: u32 = 500;

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kubeconfig of the cluster with the Accounts; without it, the cluster of our own pod
    #[arg(long, value_name = "FILE", env = "BULWARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Plan from files instead, YAML or JSON, `-` for standard input: Accounts, and the Organizations, Projects and Namespaces
    /// that stand where they go
    #[arg(short, long, value_name = "FILE", conflicts_with = "apply")]
    filename: Vec<PathBuf>,
    /// Those Accounts alone that have these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "filename")]
    selector: Option<String>,
    /// Do what is planned
    #[arg(long)]
    apply: bool,
    /// Hand each Account's Namespace over to its Organization, which is called like it, instead of making an Organization
    /// <account>-org with a namespace of its own
    #[arg(long)]
    adopt_namespaces: bool,
    /// client: print the plan alone; server: send every write, but have none kept
    #[arg(long, value_enum, default_value_t)]
    dry_run: DryRun,
    /// The plan as a table, or as JSON
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// How long to wait for an Organization's namespace before its Projects are made
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
    /// The server's --reserved-names
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',', env = "BULWARD_RESERVED_NAMES")]
    reserved_names: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum DryRun {
    #[default]
    None,
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

/// Plans, prints, and applies if told to.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    if arguments.dry_run == DryRun::Server && !arguments.filename.is_empty() {
        let why = "--dry-run=server: --filename is a look without a cluster, leave one of the two out";
        return Err(Failure::Usage(why.to_owned()));
    }
    let rules = Rules::new(arguments.reserved_names).map_err(Failure::Runtime)?;
    let mut world = World::default();
    let mut client = None;
    if arguments.filename.is_empty() {
        let connected = cluster::client("--kubeconfig", arguments.kubeconfig.as_deref())
            .await
            .map_err(|error| Failure::Runtime(error.to_string()))?;
        read_cluster(&connected, arguments.selector.as_deref(), &mut world)
            .await
            .map_err(Failure::Runtime)?;
        client = Some(connected);
    }
    for path in &arguments.filename {
        world.partial = true;
        read_file(path, &mut world).map_err(|why| Failure::Runtime(format!("--filename {}: {why}", path.display())))?;
    }
    let plan = plan(&world, arguments.adopt_namespaces, &rules);
    let applying = match arguments.dry_run {
        DryRun::None => arguments.apply,
        DryRun::Client => false,
        DryRun::Server => true,
    };
    let (mut lines, mut failed) = (Vec::new(), 0);
    if let Some(client) = client.filter(|_| applying) {
        let mut say = |line: &str| match arguments.output {
            Output::Table => print(line),
            Output::Json => lines.push(Value::from(line)),
        };
        let mut applier = Applier {
            client,
            dry_run: arguments.dry_run == DryRun::Server,
            patience: arguments.timeout,
            say: &mut say,
        };
        failed = applier.apply(&plan).await;
    }
    match (arguments.output, applying) {
        (Output::Json, true) => {
            let mut all = plan.json();
            all["results"] = lines.into();
            print(&format!("{all:#}"));
        }
        (Output::Json, false) => print(&format!("{:#}", plan.json())),
        (Output::Table, true) => {}
        (Output::Table, false) => print(plan.table().trim_end()),
    }
    outcome(&plan, failed)
}

/// What cannot be migrated is a failure, also of a look.
fn outcome(plan: &Plan, failed: usize) -> Result<(), Failure> {
    let (all, refused) = (plan.accounts.len(), plan.summary().refused);
    match (refused, failed) {
        (0, 0) => Ok(()),
        _ => Err(Failure::Runtime(format!(
            "of {all} accounts, {refused} are refused as they are and {failed} failed"
        ))),
    }
}

/// Who closed the output does not want to know more; that is no failure of the migration.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Everything that a plan rests upon. What was migrated before is read whole, whichever Accounts are asked for.
async fn read_cluster(client: &Client, selector: Option<&str>, world: &mut World) -> Result<(), String> {
    for kind in ["Account", "Organization", "Project", "Namespace"] {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind));
        let mut params = ListParams::default().limit(PAGE);
        if let Some(selector) = selector.filter(|_| kind == "Account") {
            params = params.labels(selector);
        }
        loop {
            let page = api.list(&params).await;
            let page = page.map_err(|error| format!("cannot list {}s: {}", kind.to_lowercase(), told(&error)))?;
            for mut object in page.items {
                // Items of a list need not say what they are.
                object.types.get_or_insert_with(|| kube::core::TypeMeta {
                    api_version: resource(kind).api_version,
                    kind: kind.to_owned(),
                });
                world.add(serde_json::to_value(object).map_err(|error| error.to_string())?);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(())
}

fn read_file(path: &Path, world: &mut World) -> Result<(), String> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().read_to_string(&mut text).map(drop),
        false => std::fs::read_to_string(path).map(|all| text = all),
    };
    read.map_err(|error| error.to_string())?;
    let objects = match serde_json::from_str::<Value>(&text) {
        Ok(object) => vec![object],
        Err(_) => serde_saphyr::from_multiple(&text).map_err(|error| error.to_string())?,
    };
    for object in objects {
        world.add(object);
    }
    Ok(())
}
