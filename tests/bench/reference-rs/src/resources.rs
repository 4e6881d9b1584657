//! The objects of the API server, as far as this controller looks at them.
//!
//! Whatever is not named here is skipped while a response is parsed and never takes up memory: managedFields,
//! annotations, foreign keys. That is what `Event::modify` does in a reflector, only before it costs anything.

use std::{borrow::Cow, fmt};

use k8s_openapi::{
    ByteString, NamespaceResourceScope,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::Resource;
use serde::{Deserialize, Deserializer};

#[derive(Clone, Debug, Deserialize)]
pub struct SesSmtpCredential {
    #[serde(deserialize_with = "identity")]
    pub metadata: ObjectMeta,
    pub spec: Spec,
    #[serde(default)]
    pub status: Status,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Spec {
    pub source: Source,
    pub region: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    pub secret_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    #[serde(default)]
    pub observed_generation: i64,
    #[serde(default)]
    pub conditions: Vec<Condition>,
    #[serde(default)]
    pub source: Observed,
    #[serde(default)]
    pub target: Observed,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    pub r#type: String,
    pub reason: String,
    pub last_transition_time: Time,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    pub resource_version: Option<String>,
}

/// That a Secret is there, and in which version. Asked for as `PartialObjectMetadata`.
#[derive(Clone, Debug, Deserialize)]
pub struct SecretVersion {
    #[serde(deserialize_with = "identity")]
    pub metadata: ObjectMeta,
}

/// A source Secret with the keys that matter here.
#[derive(Clone, Deserialize)]
pub struct SourceSecret {
    #[serde(deserialize_with = "identity")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub data: SourceData,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceData {
    pub access_key_id: Option<ByteString>,
    pub secret_access_key: Option<ByteString>,
    pub region: Option<ByteString>,
}

impl fmt::Debug for SourceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSecret").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

/// Deserializes those fields of the metadata that this controller uses.
fn identity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Identity {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        generation: Option<i64>,
        deletion_timestamp: Option<Time>,
    }
    let read = Identity::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        deletion_timestamp: read.deletion_timestamp,
        ..ObjectMeta::default()
    })
}

macro_rules! resource {
    ($type:ty, $group:literal, $version:literal, $kind:literal, $plural:literal, metadata_only: $metadata:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind(&(): &()) -> Cow<'_, str> {
                $kind.into()
            }
            fn group(&(): &()) -> Cow<'_, str> {
                $group.into()
            }
            fn version(&(): &()) -> Cow<'_, str> {
                $version.into()
            }
            fn plural(&(): &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn metadata_api() -> bool {
                $metadata
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(SesSmtpCredential, "ses-smtp.dev", "v1alpha1", "SesSmtpCredential", "sessmtpcredentials", metadata_only: false);
resource!(SecretVersion, "", "v1", "Secret", "secrets", metadata_only: true);
resource!(SourceSecret, "", "v1", "Secret", "secrets", metadata_only: false);
