//! The controller: two watches, an index from Secrets to credentials, a queue, and as many reconciles at a time as
//! there are workers.
//!
//! One task owns all of the state, so nothing is locked or shared. Of each credential it keeps the few fields below,
//! of each Secret that a credential names its version, and of all others nothing.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    rc::Rc,
    time::Duration,
};

use futures::{
    StreamExt,
    future::LocalBoxFuture,
    stream::{FuturesUnordered, Stream},
};
use kube::{
    Api, Client,
    api::ObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use smallvec::SmallVec;
use tokio_util::time::{DelayQueue, delay_queue};
use tracing::{info, warn};

use crate::{
    reconcile::{Error, Job, Outcome, Record, reconcile, version},
    resources::{SecretVersion, SesSmtpCredential},
};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// How long a stop waits for what is under way.
const GRACE: Duration = Duration::from_secs(5);

/// Namespace and name with a slash between. A credential and its target have the same.
type Key = Rc<str>;

fn key(metadata: &ObjectMeta) -> String {
    let name = metadata.name.as_deref().unwrap_or_default();
    format!("{}/{name}", metadata.namespace.as_deref().unwrap_or_default())
}

/// Two versions of a Secret: `known` is the one that we read or wrote last, `seen` the newest one that the watch
/// told of. Only a newer one is news: the echo of our own write is not.
#[derive(Clone, Copy, Default)]
struct Versions {
    known: u64,
    seen: u64,
}

impl Versions {
    fn changed(self) -> bool {
        self.seen > self.known
    }

    /// Once all Secrets were listed, one that was not among them is gone.
    fn changed_or_gone(self) -> bool {
        self.changed() || (self.seen == 0 && self.known != 0)
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Idle,
    Queued,
    Running,
    Failed,
}

struct Credential {
    uid: Rc<str>,
    version: u64,
    generation: i64,
    source: Key,
    region: Option<Rc<str>>,
    record: Record,
    source_versions: Versions,
    target_versions: Versions,
    state: State,
    failures: u8,
    retry: Option<delay_queue::Key>,
    listed: bool,
    /// A list told of a change while it was running.
    again: bool,
}

impl Credential {
    fn changed(&self) -> bool {
        self.generation != self.record.generation
            || self.source_versions.changed()
            || self.target_versions.changed()
    }

    /// The same question after a list of all Secrets, by what status says: that is how an unchanged credential
    /// costs no request when the controller starts.
    fn changed_since_recorded(&self) -> bool {
        self.generation != self.record.generation
            || self.record.ready.is_none()
            || self.source_versions.changed_or_gone()
            || self.target_versions.changed_or_gone()
    }
}

struct Done {
    key: Key,
    uid: Rc<str>,
    /// The versions that had been seen when the reconcile began: it has taken account of those.
    source_seen: u64,
    target_seen: u64,
    result: Result<Outcome, Error>,
}

pub struct Controller {
    client: Client,
    workers: usize,
    credentials: HashMap<Key, Box<Credential>>, // boxed, as a third of a table is empty and growing one copies it
    /// The credentials that read a Secret: hardly ever more than one.
    by_source: HashMap<Key, SmallVec<[Key; 1]>>,
    queue: VecDeque<Key>,
    running: FuturesUnordered<LocalBoxFuture<'static, Done>>,
    retries: DelayQueue<Key>,
    /// Secrets are looked at when it is known which of them matter, and work begins when those are known.
    credentials_listed: bool,
    secrets_listed: bool,
}

impl Controller {
    pub fn new(client: Client, workers: usize) -> Self {
        Self {
            client,
            workers,
            credentials: HashMap::new(),
            by_source: HashMap::new(),
            queue: VecDeque::new(),
            running: FuturesUnordered::new(),
            retries: DelayQueue::new(),
            credentials_listed: false,
            secrets_listed: false,
        }
    }

    /// Runs until `stop` is ready.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut credentials = pin!(watch::<SesSmtpCredential>(&self.client));
        let mut secrets = pin!(watch::<SecretVersion>(&self.client));
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(event) = credentials.next() => {
                    if let Some(event) = accept("SesSmtpCredentials", event) {
                        self.on_credential(event);
                    }
                }
                Some(event) = secrets.next(), if self.credentials_listed => {
                    if let Some(event) = accept("Secrets", event) {
                        self.on_secret(event);
                    }
                }
                Some(done) = self.running.next(), if !self.running.is_empty() => self.on_done(done),
                Some(expired) = self.retries.next(), if !self.retries.is_empty() => {
                    self.on_retry(expired.get_ref());
                }
            }
            while self.secrets_listed && self.running.len() < self.workers {
                let Some(key) = self.queue.pop_front() else { break };
                self.start(&key);
            }
        }
        let rest = async { while self.running.next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, rest).await;
    }

    fn on_credential(&mut self, event: Event<SesSmtpCredential>) {
        match event {
            Event::Init => self.credentials.values_mut().for_each(|credential| credential.listed = false),
            Event::InitApply(object) | Event::Apply(object) => self.update(object),
            Event::Delete(object) => self.remove(&key(&object.metadata)),
            Event::InitDone => {
                let gone = |(key, credential): (&Key, &Box<Credential>)| (!credential.listed).then(|| key.clone());
                for key in self.credentials.iter().filter_map(gone).collect::<Vec<_>>() {
                    self.remove(&key);
                }
                self.credentials_listed = true;
            }
        }
    }

    fn update(&mut self, object: SesSmtpCredential) {
        let (name, version) = (key(&object.metadata), version(&object.metadata));
        let uid = object.metadata.uid.unwrap_or_default();
        let same = self.credentials.get(&*name).is_some_and(|credential| *credential.uid == *uid);
        if !same || object.metadata.deletion_timestamp.is_some() {
            self.remove(&name);
        }
        if object.metadata.deletion_timestamp.is_some() {
            return; // its target goes with it
        }
        let generation = object.metadata.generation.unwrap_or_default();
        if let Some(credential) = self.credentials.get_mut(&*name) {
            credential.listed = true;
            credential.version = credential.version.max(version);
            if credential.generation == generation {
                return; // the echo of a status that we wrote, as a rule
            }
        }
        let namespace = object.metadata.namespace.unwrap_or_default();
        let source: Key = format!("{namespace}/{}", object.spec.source.secret_name).into();
        let region = object.spec.region.map(Into::into);
        let new = !self.credentials.contains_key(&*name);
        if let Some(credential) = self.credentials.get_mut(&*name) {
            credential.generation = generation;
            credential.region = region;
            if credential.source != source {
                let before = std::mem::replace(&mut credential.source, source.clone());
                credential.source_versions = Versions::default();
                self.unindex(&before, &name);
                self.by_source.entry(source).or_default().push(name.as_str().into());
            }
        } else {
            let name: Key = name.as_str().into();
            let record = Record::from(&object.status);
            self.by_source.entry(source.clone()).or_default().push(name.clone());
            self.credentials.insert(
                name,
                Box::new(Credential {
                    uid: uid.into(),
                    version,
                    generation,
                    source,
                    region,
                    record,
                    source_versions: Versions { known: record.source, seen: 0 },
                    target_versions: Versions { known: record.target, seen: 0 },
                    state: State::Idle,
                    failures: 0,
                    retry: None,
                    listed: true,
                    again: false,
                }),
            );
        }
        // Nothing has been seen yet of the Secrets that a new one names, whatever its status says.
        let unseen = new && self.secrets_listed;
        self.wake_if(&name, |credential| unseen || credential.changed());
    }

    fn remove(&mut self, name: &str) {
        if let Some(credential) = self.credentials.remove(name) {
            if let Some(retry) = &credential.retry {
                self.retries.try_remove(retry);
            }
            self.unindex(&credential.source, name);
        }
    }

    fn unindex(&mut self, source: &Key, name: &str) {
        if let Some(readers) = self.by_source.get_mut(source) {
            readers.retain(|reader| **reader != *name);
            if readers.is_empty() {
                self.by_source.remove(source);
            }
        }
    }

    fn on_secret(&mut self, event: Event<SecretVersion>) {
        match event {
            Event::Init => {
                for credential in self.credentials.values_mut() {
                    credential.source_versions.seen = 0;
                    credential.target_versions.seen = 0;
                }
            }
            // The version of a deleted one is that of its deletion.
            Event::InitApply(secret) | Event::Apply(secret) | Event::Delete(secret) => {
                self.secret_changed(&secret.metadata);
            }
            Event::InitDone => {
                for name in self.credentials.keys().cloned().collect::<Vec<_>>() {
                    self.wake_if(&name, Credential::changed_since_recorded);
                }
                // What has not been listed may have gone after a reconcile under way looked.
                for credential in self.credentials.values_mut() {
                    credential.again = credential.state == State::Running && credential.changed_since_recorded();
                }
                if !std::mem::replace(&mut self.secrets_listed, true) {
                    info!(credentials = self.credentials.len(), workers = self.workers, "started");
                }
            }
        }
    }

    fn secret_changed(&mut self, metadata: &ObjectMeta) {
        let (name, version) = (key(metadata), version(metadata));
        if let Some(credential) = self.credentials.get_mut(&*name) {
            credential.target_versions.seen = version;
            self.wake_if(&name, Credential::changed);
        }
        for reader in self.by_source.get(&*name).cloned().unwrap_or_default() {
            if let Some(credential) = self.credentials.get_mut(&reader) {
                credential.source_versions.seen = version;
                self.wake_if(&reader, Credential::changed);
            }
        }
    }

    /// Queues a credential that rests, if there is a reason. One that is running is looked at when it is done.
    fn wake_if(&mut self, name: &str, reason: impl Fn(&Credential) -> bool) {
        if let Some((key, _)) = self.credentials.get_key_value(name) {
            let key = key.clone();
            let credential = self.credentials.get_mut(&key).expect("just found");
            if matches!(credential.state, State::Idle | State::Failed) && reason(credential) {
                credential.state = State::Queued;
                if let Some(retry) = credential.retry.take() {
                    self.retries.try_remove(&retry);
                }
                self.queue.push_back(key);
            }
        }
    }

    fn start(&mut self, key: &Key) {
        let Some(credential) = self.credentials.get_mut(key) else { return };
        let (Some((namespace, name)), Some((_, source))) =
            (key.split_once('/'), credential.source.split_once('/'))
        else {
            return;
        };
        if credential.state != State::Queued {
            return; // of an earlier object of that name
        }
        credential.state = State::Running;
        credential.again = false;
        let job = Job {
            namespace: namespace.into(),
            name: name.into(),
            uid: credential.uid.clone(),
            version: credential.version,
            generation: credential.generation,
            source: source.into(),
            region: credential.region.clone(),
            record: credential.record,
        };
        let (source_seen, target_seen) = (credential.source_versions.seen, credential.target_versions.seen);
        let (client, key) = (self.client.clone(), key.clone());
        self.running.push(Box::pin(async move {
            let result = reconcile(&client, &job).await;
            Done { key, uid: job.uid, source_seen, target_seen, result }
        }));
    }

    fn on_done(&mut self, done: Done) {
        let Some(credential) = self.credentials.get_mut(&done.key).filter(|found| found.uid == done.uid) else {
            return; // deleted meanwhile
        };
        match done.result {
            Ok(Outcome { record, version }) => {
                credential.state = State::Idle;
                credential.failures = 0;
                credential.record = record;
                credential.version = credential.version.max(version);
                // The record has no version of a Secret that is missing; what was told of it before is dealt with.
                credential.source_versions.known = record.source.max(done.source_seen);
                credential.target_versions.known = record.target.max(done.target_seen);
                self.wake_if(&done.key, |credential| credential.again || credential.changed());
            }
            Err(error) => {
                credential.state = State::Failed;
                let delay = FIRST_RETRY.saturating_mul(1 << credential.failures.min(16)).min(LAST_RETRY);
                credential.failures = credential.failures.saturating_add(1);
                warn!(credential = &*done.key, %error, retry_after = ?delay, "reconcile failed");
                credential.retry = Some(self.retries.insert(done.key, delay));
            }
        }
    }

    fn on_retry(&mut self, key: &Key) {
        if let Some(credential) = self.credentials.get_mut(key) {
            credential.retry = None;
        }
        self.wake_if(key, |credential| credential.state == State::Failed);
    }
}

/// A watch that fills itself by a streaming list: objects arrive one by one, so a list of any length needs no memory.
fn watch<K>(client: &Client) -> impl Stream<Item = watcher::Result<Event<K>>> + use<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    watcher(Api::<K>::all(client.clone()), watcher::Config::default().streaming_lists()).default_backoff()
}

fn accept<K>(what: &str, event: watcher::Result<Event<K>>) -> Option<Event<K>> {
    event.inspect_err(|error| warn!(%error, "watch of {what} failed, goes on")).ok()
}
