//! `bulward certs bootstrap`: what an installation needs before it can serve: an authority, the certificates that it signs, and
//! APIServices that trust it. It may run at any time, any number of times, and beside itself.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use kube::Client;
use tokio::time::Instant;

use super::authorities::{Authorities, Lifetimes};
use super::bundles;
use super::names::{AUTHORITY, Installation, KEEPER};
use super::secrets::{Kept, Secrets, Signing};
use crate::certs::{AUTHORITY_LIFETIME, LEAF_LIFETIME, RENEW_BEFORE};
use crate::cli::controller_manager::identity;
use crate::cli::{Failure, signals};
use crate::cluster;
use crate::config::{Error, parse_duration};
use crate::controllers::election::{Candidate, Election};
use crate::groups;
use crate::http::shutdown::Shutdown;
use crate::rest::resource::Registry;
use crate::wire::validation::names::dns1123_label;

/// The pause after a failure; each further one is twice as long, up to the interval.
const AGAIN: Duration = Duration::from_secs(1);
/// Of certificates; years of five digits cannot be written down in them.
const LONGEST: Duration = Duration::from_secs(876_000 * 3600);
/// Between two rounds.
const SHORTEST: Duration = Duration::from_secs(1);
/// By default the next authority is made when the one that signs has so long left.
const AUTHORITY_RENEW_BEFORE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kubeconfig of the cluster; without it, the cluster of our own pod
    #[arg(long, value_name = "FILE", env = "BULWARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Namespace of the installation
    #[arg(long, value_name = "NAMESPACE", default_value = "bulward-system")]
    namespace: String,
    /// Service of the API server
    #[arg(long, value_name = "NAME", default_value = "bulward-apiserver")]
    service: String,
    /// etcd is not ours: make no certificates for it
    #[arg(long)]
    external_etcd: bool,
    /// Go on: look again and again, and make anew what ends soon. Of several that do so, one acts: who holds the lease
    /// bulward-certs
    #[arg(long)]
    keep: bool,
    /// With --keep: how often to look
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    interval: Duration,
    /// With --keep: how long everybody has to trust a new authority before it signs, and an old one after it signed:
    /// Secrets take a while to arrive in pods
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    settle: Duration,
    /// How long certificates last; 8760h without it
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    lifetime: Option<Duration>,
    /// How long before its end a certificate is made anew; 720h without it
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    renew_before: Option<Duration>,
    /// How long an authority lasts; 87600h without it
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    authority_lifetime: Option<Duration>,
    /// How long before its end an authority begins to be replaced; 8760h without it
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    authority_renew_before: Option<Duration>,
    /// ValidatingWebhookConfigurations whose webhooks at our Service are to trust the authority as well
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    validating_webhook: Vec<String>,
    /// MutatingWebhookConfigurations whose webhooks at our Service are to trust the authority as well
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    mutating_webhook: Vec<String>,
}

/// What is kept, and where.
struct Keeper<'a> {
    client: Client,
    installation: Installation<'a>,
    registry: Registry,
    secrets: Secrets,
    lifetimes: Lifetimes,
    arguments: &'a Args,
}

/// How a round ended.
enum Round {
    /// Everything is as these authorities want it.
    Done(Authorities, Kept),
    /// Something is under way.
    Waiting(String),
}

/// Since when everything has been as certain authorities want it. Only in memory: whoever starts anew waits once more.
#[derive(Default)]
struct Settling(Option<(Authorities, Instant)>);

/// Makes what is missing; with `--keep`, until a signal comes.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    let lifetimes = arguments.lifetimes()?;
    let client = cluster::client("--kubeconfig", arguments.kubeconfig.as_deref())
        .await
        .map_err(|error| Failure::Runtime(error.to_string()))?;
    let keeper = Keeper {
        secrets: Secrets::new(client.clone(), &arguments.namespace, lifetimes),
        client,
        installation: Installation {
            namespace: &arguments.namespace,
            service: &arguments.service,
            own_etcd: !arguments.external_etcd,
        },
        registry: groups::registry(&groups::Options::default()),
        lifetimes,
        arguments: &arguments,
    };
    if !arguments.keep {
        return match keeper.round().await.map_err(Failure::Runtime)? {
            Round::Done(..) => Ok(()),
            Round::Waiting(why) => {
                tracing::info!(%why, "complete, but for this");
                Ok(())
            }
        };
    }
    let shutdown = Shutdown::new();
    signals::follow(shutdown.clone(), Duration::ZERO)?;
    let stop = shutdown.draining();
    let election = election(&arguments.namespace);
    let identity = election.identity.clone();
    let mut candidate = Candidate::new(keeper.client.clone(), election);
    loop {
        tokio::select! {
            () = candidate.acquire() => {}
            () = stop.cancelled() => return Ok(()),
        }
        tracing::info!(identity, "this replica keeps the certificates");
        tokio::select! {
            lost = candidate.keep() => tracing::warn!(error = %lost, "another replica may keep the certificates now"),
            () = keeper.rounds() => {}
            () = stop.cancelled() => {
                candidate.release().await;
                return Ok(());
            }
        }
    }
}

fn election(namespace: &str) -> Election {
    Election {
        identity: identity(),
        namespace: namespace.to_owned(),
        name: KEEPER.to_owned(),
        lease_duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    }
}

impl Args {
    fn lifetimes(&self) -> Result<Lifetimes, Error> {
        let lifetimes = Lifetimes {
            leaf: self.lifetime.unwrap_or(LEAF_LIFETIME),
            renew_before: self.renew_before.unwrap_or(RENEW_BEFORE),
            authority: self.authority_lifetime.unwrap_or(AUTHORITY_LIFETIME),
            authority_renew_before: self.authority_renew_before.unwrap_or(AUTHORITY_RENEW_BEFORE),
        };
        let refused = |flag, why: &str| {
            Err(Error {
                flag,
                why: why.to_owned(),
            })
        };
        for (flag, lifetime) in [
            ("lifetime", lifetimes.leaf),
            ("authority-lifetime", lifetimes.authority),
        ] {
            if lifetime > LONGEST {
                return refused(flag, "must not be longer than 876000h, a hundred years");
            }
        }
        if self.interval < SHORTEST {
            return refused("interval", "must be at least 1s");
        }
        for (flag, name) in [("namespace", &self.namespace), ("service", &self.service)] {
            if let Some(why) = dns1123_label(name).first() {
                return refused(flag, why);
            }
        }
        if lifetimes.renew_before >= lifetimes.leaf {
            return refused("renew-before", "must be shorter than --lifetime, or nothing lasts");
        }
        if lifetimes.authority_renew_before >= lifetimes.authority {
            return refused("authority-renew-before", "must be shorter than --authority-lifetime");
        }
        if lifetimes.authority_renew_before <= lifetimes.renew_before.saturating_add(self.settle) {
            let why =
                "must be longer than --renew-before and --settle together, or certificates outlive their authority";
            return refused("authority-renew-before", why);
        }
        Ok(lifetimes)
    }
}

impl Keeper<'_> {
    /// One round after the other, for ever.
    async fn rounds(&self) {
        let interval = self.arguments.interval;
        let mut again = AGAIN;
        let mut settling = Settling::default();
        loop {
            let pause = match self.round().await {
                Ok(Round::Done(authorities, Kept::Foreign)) => {
                    self.warn_of_end(&authorities);
                    again = AGAIN;
                    interval
                }
                Ok(Round::Done(authorities, _)) => {
                    again = AGAIN;
                    let left = settling.left(&authorities, self.arguments.settle);
                    match self.step(&authorities, left.is_zero()).await {
                        Ok(true) => Duration::ZERO,
                        Ok(false) if left.is_zero() => interval,
                        Ok(false) => interval.min(left),
                        Err(why) => {
                            tracing::warn!(%why, "the authority could not be followed by another, trying again");
                            AGAIN
                        }
                    }
                }
                Ok(Round::Waiting(why)) => {
                    tracing::info!(%why, "waiting");
                    settling = Settling::default();
                    AGAIN
                }
                Err(why) => {
                    tracing::warn!(%why, "certificates are not complete, trying again");
                    settling = Settling::default();
                    let pause = again.min(interval);
                    again = again.saturating_mul(2);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One round. What stands later is tried although something before it failed: etcd can start while there is no APIService.
    async fn round(&self) -> Result<Round, String> {
        let (mut authorities, mut kept) = self.secrets.authorities(AUTHORITY).await?;
        // One that has ended helps nobody: this does not wait until all else is well.
        if kept != Kept::Foreign && authorities.not_after()? <= SystemTime::now() {
            self.step(&authorities, false).await?;
            (authorities, kept) = self.secrets.authorities(AUTHORITY).await?;
        }
        if authorities.not_before()? > SystemTime::now() {
            let place = self.secrets.place(AUTHORITY);
            tracing::warn!(
                "{place} begins in the future: this clock is behind, or the one was ahead by which it was made"
            );
        }
        let signing = Signing {
            authority: authorities.signer(&self.secrets.place(AUTHORITY)),
            certificate: authorities.current.certificate_pem.clone(),
            bundle: authorities.bundle(),
            not_after: authorities.not_after()?,
        };
        let (mut failures, mut trusted) = (Vec::new(), None);
        for (name, leaf) in self.installation.leaves() {
            match self.secrets.leaf(&name, &leaf, &signing).await {
                Ok((kept, ca)) => {
                    if kept == Kept::Made {
                        tracing::info!(secret = name, "certificate kept");
                    }
                    if name == self.installation.serving() {
                        trusted = ca;
                    }
                }
                Err(why) => failures.push(why),
            }
        }
        // The same authority was the reason for all of them.
        failures.dedup();
        let kept_all = failures.is_empty();
        if let Some(ca) = trusted {
            failures.extend(self.tell(&ca).await);
        }
        let mut waiting = None;
        // Its members read the authorities in their Secret: not before that is as it should be.
        if self.installation.own_etcd && kept_all {
            let first = authorities.next.is_none() && authorities.retired.is_empty();
            let fingerprints = authorities.fingerprints();
            match bundles::etcd(&self.client, self.installation.namespace, &fingerprints, first).await {
                Ok(wait) => waiting = wait,
                Err(why) => failures.push(why),
            }
        }
        match (failures.is_empty(), waiting) {
            (false, _) => Err(failures.join("; ")),
            (true, Some(why)) => Ok(Round::Waiting(why)),
            (true, None) => Ok(Round::Done(authorities, kept)),
        }
    }

    /// Tells everybody who calls us; what could not be told.
    async fn tell(&self, ca: &str) -> Vec<String> {
        let (client, installation) = (&self.client, &self.installation);
        let mut told = Vec::new();
        for group in &self.registry.groups {
            for version in group.versions() {
                let name = format!("{version}.{}", group.name);
                told.push(bundles::api_service(client, installation, &name, ca).await);
            }
        }
        for name in &self.arguments.validating_webhook {
            told.push(bundles::validating(client, installation, name, ca).await);
        }
        for name in &self.arguments.mutating_webhook {
            told.push(bundles::mutating(client, installation, name, ca).await);
        }
        told.into_iter().filter_map(Result::err).collect()
    }

    /// Has another authority follow if it is time. Whether that is so.
    async fn step(&self, authorities: &Authorities, settled: bool) -> Result<bool, String> {
        let step = authorities.step(AUTHORITY, settled, &self.lifetimes, SystemTime::now())?;
        let Some((others, step)) = step else { return Ok(false) };
        if self.secrets.follow(AUTHORITY, authorities, &others).await? {
            tracing::info!(secret = AUTHORITY, "{}", step.text());
        }
        Ok(true)
    }

    fn warn_of_end(&self, authorities: &Authorities) {
        let ends = authorities.not_after();
        if ends.is_ok_and(|ends| ends < SystemTime::now() + self.lifetimes.renew_before) {
            let place = self.secrets.place(AUTHORITY);
            tracing::warn!("{place} is not ours to replace, and its authority ends soon: put another one there");
        }
    }
}

impl Settling {
    /// How much of the time is left for which everything has to have been as it is.
    fn left(&mut self, authorities: &Authorities, settle: Duration) -> Duration {
        match &self.0 {
            Some((settled, since)) if settled == authorities => settle.saturating_sub(since.elapsed()),
            _ => {
                self.0 = Some((authorities.clone(), Instant::now()));
                settle
            }
        }
    }
}
