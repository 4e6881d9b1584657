//! Leader election by a Lease, with the rules and times of client-go: a holder that has not renewed for 15 s of our
//! own clock may be replaced, one that fails to renew for 10 s gives up, and both look every 2 s.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tracing::{info, warn};

const DURATION_SECONDS: u8 = 15;
const DURATION: Duration = Duration::from_secs(DURATION_SECONDS as u64);
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_secs(2);

pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// The Lease as last read or written; whoever writes it first from there wins.
    lease: Option<Lease>,
    since: Instant,
}

impl Election {
    pub fn new(client: Client, namespace: &str, name: String, identity: String) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name, identity, lease: None, since: Instant::now() }
    }

    /// Returns when the Lease is ours.
    pub async fn acquire(&mut self) {
        loop {
            match timeout(RENEW_DEADLINE, self.try_acquire()).await {
                Ok(Ok(true)) => break info!(identity = self.identity, "holds the Lease {}", self.name),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => warn!(%error, "Lease {} cannot be acquired, tries again", self.name),
                Err(_) => warn!("Lease {} cannot be acquired: no answer, tries again", self.name),
            }
            sleep(PERIOD).await;
        }
    }

    async fn try_acquire(&mut self) -> kube::Result<bool> {
        let Some(read) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(0)),
            };
            return self.settle(self.api.create(&PostParams::default(), &lease).await);
        };
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        if self.lease.as_ref().map(version) != Some(version(&read)) {
            self.lease = Some(read.clone());
            self.since = Instant::now();
        }
        let spec = read.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        if !holder.is_empty() && holder != self.identity && self.since.elapsed() < DURATION {
            return Ok(false);
        }
        let next = Lease { spec: Some(self.spec(spec.lease_transitions.unwrap_or(0) + 1)), ..read };
        self.write(next).await
    }

    /// Returns when the Lease is lost.
    pub async fn renew(&mut self) {
        let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.since.elapsed() < RENEW_DEADLINE {
            ticks.tick().await;
            let left = RENEW_DEADLINE.saturating_sub(self.since.elapsed());
            match timeout(left, self.renew_once()).await {
                Ok(Ok(true)) => {}
                Ok(Err(error)) => warn!(%error, "Lease {} cannot be renewed", self.name),
                Ok(Ok(false)) | Err(_) => return,
            }
        }
    }

    /// One PUT as long as nobody else writes the Lease; after a conflict it is read again.
    async fn renew_once(&mut self) -> kube::Result<bool> {
        let Some(mut lease) = self.lease.clone() else { return Ok(false) };
        let spec = lease.spec.get_or_insert_default();
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        if self.write(lease).await? {
            return Ok(true);
        }
        let read = self.api.get(&self.name).await?;
        let ours = read.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) == Some(&*self.identity);
        self.lease = Some(read);
        Ok(ours)
    }

    /// Lets another instance take over at once.
    pub async fn release(mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        if !matches!(timeout(PERIOD, self.write(lease)).await, Ok(Ok(true))) {
            warn!("Lease {} could not be released", self.name);
        }
    }

    fn spec(&self, transitions: i32) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(DURATION_SECONDS.into()),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    async fn write(&mut self, lease: Lease) -> kube::Result<bool> {
        let written = self.api.replace(&self.name, &PostParams::default(), &lease).await;
        self.settle(written)
    }

    fn settle(&mut self, written: kube::Result<Lease>) -> kube::Result<bool> {
        match written {
            Ok(lease) => {
                self.lease = Some(lease);
                self.since = Instant::now();
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }
}
