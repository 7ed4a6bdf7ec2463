//! Custom resource definitions: applied, and waited for until they can be used.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams},
};
use tokio::time::Instant;

use crate::{Error, Result};

const WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Applies the definitions, and returns when every served version of each can be listed.
///
/// `Established` alone is not enough: the API server says so a moment before it serves the resource. Several tests may
/// install the same definitions at once.
pub async fn install_crds(client: &Client, definitions: &[CustomResourceDefinition]) -> Result<()> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in definitions {
        let name = definition.metadata.name.as_deref().unwrap_or_default();
        api.patch(
            name,
            &PatchParams::apply("test-ground").force(),
            &Patch::Apply(definition),
        )
        .await
        .map_err(Error::kube(format!("cannot apply the definition of {name}")))?;
    }
    for definition in definitions {
        established(&api, definition).await?;
        served(client, definition).await?;
    }
    Ok(())
}

async fn established(api: &Api<CustomResourceDefinition>, definition: &CustomResourceDefinition) -> Result<()> {
    let name = definition.metadata.name.as_deref().unwrap_or_default();
    let began = Instant::now();
    loop {
        let now = api
            .get(name)
            .await
            .map_err(Error::kube(format!("cannot read the definition of {name}")))?;
        let conditions = now.status.and_then(|it| it.conditions).unwrap_or_default();
        if conditions
            .iter()
            .any(|it| it.type_ == "Established" && it.status == "True")
        {
            return Ok(());
        }
        let last = conditions
            .iter()
            .map(|it| {
                format!(
                    "{}={} {}",
                    it.type_,
                    it.status,
                    it.message.as_deref().unwrap_or_default()
                )
            })
            .collect::<Vec<_>>()
            .join(", ");
        pause(began, || format!("{name} is established"), last).await?;
    }
}

async fn served(client: &Client, definition: &CustomResourceDefinition) -> Result<()> {
    let spec = &definition.spec;
    for version in spec.versions.iter().filter(|it| it.served) {
        let kind = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, &spec.names.plural);
        let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
        let began = Instant::now();
        while let Err(error) = api.list_metadata(&ListParams::default().limit(1)).await {
            let what = || format!("{} {} is served", spec.names.plural, version.name);
            pause(began, what, error.to_string()).await?;
        }
    }
    Ok(())
}

async fn pause(began: Instant, what: impl FnOnce() -> String, last: String) -> Result<()> {
    if began.elapsed() > WITHIN {
        return Err(Error::Timeout {
            what: what(),
            within: WITHIN,
            last,
        });
    }
    tokio::time::sleep(LOOK_EVERY).await;
    Ok(())
}
