//! What two vaults have in common.

use std::path::Path;

use weir_vault::Provider;

use super::{Fault, aws, fault, transit};

/// Says what two vaults have in common, so that who has one layer has both.
pub(in crate::config) fn shared(ring: &Provider, store: &Provider) -> Option<Fault> {
    let (place, is_same_login) = match (ring, store) {
        (Provider::Vault(ring), Provider::Vault(store)) => {
            (transit::is_same_place(ring, store).then_some(ONE_MOUNT), transit::is_same_login(ring, store))
        }
        (Provider::Aws(ring), Provider::Aws(store)) => {
            (aws::is_same_place(ring, store).then_some(ONE_PREFIX), aws::is_same_login(&ring.auth, &store.auth))
        }
        (Provider::Aws(_), Provider::Vault(_)) | (Provider::Vault(_), Provider::Aws(_)) => (None, false),
    };
    let is_same_file = login_file(ring).is_some() && login_file(ring) == login_file(store);
    let login = (is_same_login || is_same_file).then_some((
        "`keys.vault` and `lake.store_vault` log in as one, so that the layers would fall together",
        "give the store's keys a role and a secret of their own, whose policy is for their keys alone",
    ));
    place.or(login).map(|(message, hint)| fault("vault_shared", message, hint))
}

/// Returns the file that a login needs.
fn login_file(provider: &Provider) -> Option<&Path> {
    match provider {
        Provider::Aws(settings) => aws::login_file(&settings.auth),
        Provider::Vault(settings) => transit::login_file(settings),
    }
}

const ONE_MOUNT: (&str, &str) = (
    "`keys.vault` and `lake.store_vault` name one mount of one vault, so that the layers would fall together",
    "`bao secrets enable -path=transit-store transit` makes a mount for the store's keys; or use another vault",
);
const ONE_PREFIX: (&str, &str) = (
    "`keys.vault` and `lake.store_vault` name keys of one prefix in one region, so that the layers would fall together",
    "give the store's keys another prefix, that does not begin with the ring's and a `-`; better in an account of their own",
);
