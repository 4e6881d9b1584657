//! One credential, from its source Secret to its target Secret and its status: a GET, an apply, a status patch.

use std::{rc::Rc, time::Duration};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    resources::{SecretVersion, SesSmtpCredential, SourceSecret, Status},
    smtp::Login,
};

const FIELD_MANAGER: &str = "reference-rs";
/// An answer that has not come by then will not come: the connection is dead.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout(#[from] tokio::time::error::Elapsed),
}

/// The resourceVersion as a number, which it is for everything that the API server itself stores (KEP-5504).
/// 0 stands for "none".
pub fn version(metadata: &ObjectMeta) -> u64 {
    number(metadata.resource_version.as_deref())
}

fn number(version: Option<&str>) -> u64 {
    version.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Why Ready has the value it has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    Synced,
    SourceNotFound,
    SourceKeysNotFound,
    RegionMissing,
}

impl Reason {
    const ALL: [Self; 4] = [Self::Synced, Self::SourceNotFound, Self::SourceKeysNotFound, Self::RegionMissing];

    fn name(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::SourceNotFound => "SourceNotFound",
            Self::SourceKeysNotFound => "SourceKeysNotFound",
            Self::RegionMissing => "RegionMissing",
        }
    }

    fn ready(self) -> bool {
        self == Self::Synced
    }

    fn message(self, source: &str) -> String {
        match self {
            Self::Synced => "the target Secret holds the login of the current key".into(),
            Self::SourceNotFound => format!("there is no Secret {source}; create it"),
            Self::SourceKeysNotFound => {
                format!("Secret {source} lacks accessKeyId or secretAccessKey; add them")
            }
            Self::RegionMissing => format!("set spec.region, or the key region in Secret {source}"),
        }
    }
}

/// What status says of a credential, as far as a decision hangs on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    pub generation: i64,
    pub ready: Option<(Reason, Timestamp)>,
    pub source: u64,
    pub target: u64,
}

impl From<&Status> for Record {
    fn from(status: &Status) -> Self {
        let ready = status.conditions.iter().find(|condition| condition.r#type == "Ready");
        Self {
            generation: status.observed_generation,
            ready: ready.and_then(|condition| {
                let reason = Reason::ALL.into_iter().find(|reason| reason.name() == condition.reason)?;
                Some((reason, condition.last_transition_time.0))
            }),
            source: number(status.source.resource_version.as_deref()),
            target: number(status.target.resource_version.as_deref()),
        }
    }
}

/// All that is needed to reconcile a credential, so that it may change meanwhile.
pub struct Job {
    pub namespace: String,
    pub name: String,
    pub uid: Rc<str>,
    pub version: u64,
    pub generation: i64,
    pub source: String,
    pub region: Option<Rc<str>>,
    pub record: Record,
}

/// What status says now, and the credential's version with that.
pub struct Outcome {
    pub record: Record,
    pub version: u64,
}

/// Brings target and status up to date.
pub async fn reconcile(client: &Client, job: &Job) -> Result<Outcome, Error> {
    tokio::time::timeout(TIMEOUT, sync(client, job)).await?
}

async fn sync(client: &Client, job: &Job) -> Result<Outcome, Error> {
    let sources: Api<SourceSecret> = Api::namespaced(client.clone(), &job.namespace);
    let source = sources.get_opt(&job.source).await?;
    let (reason, target) = match login(source.as_ref(), job) {
        Ok(login) => (Reason::Synced, Some(apply(client, job, &login).await?)),
        Err(reason) => (reason, None),
    };
    let source = source.map(|secret| secret.metadata);

    let since = match job.record.ready {
        Some((before, since)) if before.ready() == reason.ready() => since,
        _ => now(),
    };
    let record = Record {
        generation: job.generation,
        ready: Some((reason, since)),
        source: source.as_ref().map_or(0, version),
        target: target.as_ref().map_or(job.record.target, version),
    };
    let mut version = job.version;
    if record != job.record {
        version = patch_status(client, job, reason, since, source.as_ref(), target.as_ref()).await?;
    }
    Ok(Outcome { record, version })
}

/// In whole seconds, as the API server keeps times.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

fn login<'a>(source: Option<&'a SourceSecret>, job: &'a Job) -> Result<Login<'a>, Reason> {
    fn text(value: Option<&k8s_openapi::ByteString>) -> Option<&str> {
        value.and_then(|value| str::from_utf8(&value.0).ok()).filter(|text| !text.is_empty())
    }
    let data = &source.ok_or(Reason::SourceNotFound)?.data;
    let (Some(id), Some(secret)) = (text(data.access_key_id.as_ref()), text(data.secret_access_key.as_ref()))
    else {
        return Err(Reason::SourceKeysNotFound);
    };
    let region = job.region.as_deref().or_else(|| text(data.region.as_ref())).ok_or(Reason::RegionMissing)?;
    Ok(Login::derive(id, secret.as_bytes(), region))
}

/// Writes the target; the answer is its metadata only.
async fn apply(client: &Client, job: &Job, login: &Login<'_>) -> Result<ObjectMeta, Error> {
    let target = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": job.name,
            "labels": {"app.kubernetes.io/managed-by": FIELD_MANAGER},
            "ownerReferences": [{
                "apiVersion": "ses-smtp.dev/v1alpha1",
                "kind": "SesSmtpCredential",
                "name": job.name,
                "uid": &*job.uid,
                "controller": true,
            }],
        },
        "data": login.data(),
    });
    let targets: Api<SecretVersion> = Api::namespaced(client.clone(), &job.namespace);
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    Ok(targets.patch(&job.name, &parameters, &Patch::Apply(target)).await?.metadata)
}

/// Returns the credential's new version. The one that was seen last is part of the patch: the API server then refuses
/// to write a deleted object's status onto a new one of its name, which it does not do by UID.
async fn patch_status(
    client: &Client,
    job: &Job,
    reason: Reason,
    since: Timestamp,
    source: Option<&ObjectMeta>,
    target: Option<&ObjectMeta>,
) -> Result<u64, Error> {
    let mut status = json!({
        "observedGeneration": job.generation,
        "conditions": [{
            "type": "Ready",
            "status": if reason.ready() { "True" } else { "False" },
            "observedGeneration": job.generation,
            "lastTransitionTime": Time(since),
            "reason": reason.name(),
            "message": reason.message(&job.source),
        }],
        // A merge patch removes what is null.
        "source": source.map_or(Value::Null, |source| {
            json!({"uid": source.uid, "resourceVersion": source.resource_version})
        }),
    });
    if let Some(target) = target {
        status["target"] =
            json!({"name": job.name, "uid": target.uid, "resourceVersion": target.resource_version});
    }
    let credentials: Api<SesSmtpCredential> = Api::namespaced(client.clone(), &job.namespace);
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let patch = json!({"metadata": {"resourceVersion": job.version.to_string()}, "status": status});
    let written = credentials.patch_status(&job.name, &parameters, &Patch::Merge(patch)).await?;
    Ok(version(&written.metadata))
}
