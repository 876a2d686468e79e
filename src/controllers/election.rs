//! One of several replicas acts: who holds the lease (client-go tools/leaderelection/leaderelection.go).

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::time::{Duration, Instant, timeout};

/// What `--leader-elect-*` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// Who this replica is; no two share it.
    pub identity: String,
    /// Where the lease lies.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// For how long the others wait for a leader that says nothing.
    pub lease_duration: Duration,
    /// For how long a leader tries to renew before it gives up.
    pub renew_deadline: Duration,
    /// Time between two tries.
    pub retry_period: Duration,
}

/// The leader could not renew its lease in time: another one may act by now, so this one must not.
#[derive(Debug, thiserror::Error)]
#[error("leader election lost: lease {0} could not be renewed in time")]
pub struct Lost(String);

/// The lease, as one replica knows it.
pub struct Candidate {
    election: Election,
    api: Api<Lease>,
    /// The last record seen, and when: the clocks of others are not believed.
    observed: Option<(LeaseSpec, Instant)>,
}

impl Candidate {
    /// Nothing is asked yet.
    pub fn new(client: Client, election: Election) -> Self {
        Self {
            api: Api::namespaced(client, &election.namespace),
            election,
            observed: None,
        }
    }

    /// Waits until this replica holds the lease.
    pub async fn acquire(&mut self) {
        loop {
            match self.patiently().await {
                Ok(true) => return,
                Ok(false) => tracing::debug!(lease = self.election.name, "another replica leads"),
                Err(error) => {
                    tracing::warn!(lease = self.election.name, %error, "the lease cannot be taken, trying again")
                }
            }
            // Replicas that wait for the same lease do not all ask at once (client-go's JitterFactor).
            let pause = self.election.retry_period.mul_f64(rand::random_range(1.0..2.2));
            tokio::time::sleep(pause).await;
        }
    }

    /// Renews until that fails for as long as the renew deadline.
    pub async fn keep(&mut self) -> Lost {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.election.retry_period).await;
            let left = (renewed + self.election.renew_deadline).saturating_duration_since(Instant::now());
            let asked = Instant::now();
            match timeout(left, self.attempt()).await {
                Ok(Ok(true)) => renewed = asked,
                Ok(Ok(false)) if !self.holds() => return self.lost(),
                // Somebody else wrote into the lease, such as an annotation.
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.election.name, %error, "the lease cannot be renewed, trying again")
                }
                Err(_) => return self.lost(),
            }
            if renewed.elapsed() >= self.election.renew_deadline {
                return self.lost();
            }
        }
    }

    /// Hands the lease on, so that the next replica need not wait for it to expire.
    pub async fn release(&mut self) {
        let write = async {
            let mut lease = self.api.get(&self.election.name).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.election.identity) {
                let now = MicroTime(Timestamp::now());
                spec.holder_identity = Some(String::new());
                spec.lease_duration_seconds = Some(1);
                (spec.acquire_time, spec.renew_time) = (Some(now.clone()), Some(now));
                self.api
                    .replace(&self.election.name, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        };
        match timeout(self.election.renew_deadline, write).await {
            Ok(Ok(())) => tracing::info!(lease = self.election.name, "lease released"),
            Ok(Err(error)) => tracing::warn!(lease = self.election.name, %error, "the lease was not released"),
            Err(_) => tracing::warn!(lease = self.election.name, "the lease was not released in time"),
        }
    }

    /// One attempt, which does not hang for longer than a leader may.
    async fn patiently(&mut self) -> Result<bool, kube::Error> {
        let patience = self.election.renew_deadline;
        let attempt = timeout(patience, self.attempt()).await;
        attempt.unwrap_or_else(|_| Err(kube::Error::Service(format!("no answer within {patience:?}").into())))
    }

    /// Takes or renews the lease if it may. Whether this replica holds it now.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let name = &self.election.name;
        let Some(mut lease) = self.api.get_opt(name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(name.clone()),
                    namespace: Some(self.election.namespace.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.record(None)),
            };
            return match self.api.create(&PostParams::default(), &lease).await {
                Ok(created) => {
                    self.observe(created.spec.unwrap_or_default());
                    Ok(true)
                }
                Err(error) => refused(error),
            };
        };
        let seen = lease.spec.clone().unwrap_or_default();
        self.observe(seen.clone());
        let holder = seen.holder_identity.as_deref().unwrap_or_default();
        if !holder.is_empty() && holder != self.election.identity && !self.expired() {
            return Ok(false);
        }
        lease.spec = Some(self.record(Some(seen)));
        // With the resourceVersion that was read: of two replicas that find it expired, one takes it.
        match self
            .api
            .replace(&self.election.name, &PostParams::default(), &lease)
            .await
        {
            Ok(written) => {
                self.observe(written.spec.unwrap_or_default());
                Ok(true)
            }
            Err(error) => refused(error),
        }
    }

    fn observe(&mut self, spec: LeaseSpec) {
        if self.observed.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.observed = Some((spec, Instant::now()));
        }
    }

    fn holds(&self) -> bool {
        let holder = self
            .observed
            .as_ref()
            .and_then(|(spec, _)| spec.holder_identity.as_deref());
        holder == Some(&self.election.identity)
    }

    /// Whether the holder has said nothing for as long as it promised to speak.
    fn expired(&self) -> bool {
        self.observed.as_ref().is_none_or(|(spec, at)| {
            let seconds = spec
                .lease_duration_seconds
                .and_then(|seconds| u64::try_from(seconds).ok());
            let promised = seconds.map_or(self.election.lease_duration, Duration::from_secs);
            at.elapsed() >= promised
        })
    }

    fn record(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let before = before.unwrap_or_default();
        let mine = before.holder_identity.as_deref() == Some(&self.election.identity);
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.election.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.election.lease_duration.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: before.acquire_time.filter(|_| mine).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if mine {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..LeaseSpec::default()
        }
    }

    fn lost(&self) -> Lost {
        Lost(format!("{}/{}", self.election.namespace, self.election.name))
    }
}

/// Another replica was faster: no fault.
fn refused(error: kube::Error) -> Result<bool, kube::Error> {
    match error {
        kube::Error::Api(status) if status.code == 409 => Ok(false),
        error => Err(error),
    }
}
