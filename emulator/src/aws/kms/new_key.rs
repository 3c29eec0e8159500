//! A key that is to be made.

use super::error::KmsError;
use crate::state::State;
use crate::state::aws::{AGREE, ENCRYPT, Key, KeyState, MAC, SIGN, SPECS, Spec, Tags, arn};

pub(crate) struct NewKey<'a> {
    pub(crate) spec: &'a str,
    pub(crate) usage: Option<&'a str>,
    pub(crate) description: &'a str,
    pub(crate) tags: Tags,
    pub(crate) multi_region: bool,
    pub(crate) reuse: bool,
}

/// Makes a key in a region.
pub(crate) fn create(state: &State, region: &str, new: NewKey<'_>) -> Result<Key, KmsError> {
    let spec = Spec::named(new.spec)
        .ok_or_else(|| KmsError::not_in("keySpec", new.spec, &SPECS.each_ref().map(|spec| spec.name)))?;
    let usages = [ENCRYPT, SIGN, MAC, AGREE];
    let usage = match new.usage {
        Some(usage) if !usages.contains(&usage) => {
            return Err(KmsError::not_in("keyUsage", usage, &usages));
        }
        Some(usage) => usage,
        None if spec.name == "SYMMETRIC_DEFAULT" => ENCRYPT,
        None => {
            let text = "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.";
            return Err(KmsError::validation(text));
        }
    };
    if !spec.usages.contains(&usage) {
        return Err(KmsError::validation(format!("KeyUsage {usage} is not compatible with KeySpec {}", spec.name)));
    }
    let material = if new.reuse { state.materials.shared(spec.family)? } else { state.materials.fresh(spec.family)? };
    let id = if new.multi_region { format!("mrk-{}", state.ids.hex()) } else { state.ids.uuid() };
    let key = Key {
        arn: arn(region, &format!("key/{id}")),
        id,
        spec,
        usage: usage.to_owned(),
        state: KeyState::Enabled,
        created: state.clock.now(),
        deletion: None,
        description: new.description.to_owned(),
        tags: new.tags,
        multi_region: new.multi_region,
        material,
    };
    state.aws.keys.insert(region, key.clone());
    Ok(key)
}
