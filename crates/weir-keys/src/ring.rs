//! The `file:` key ring: where secrets are made, kept and destroyed.
//!
//! ```text
//! <ring>/                      0700
//!   ring                       0600  id, consent secret, lake secret, secret of file names
//!   epochs/                    0700
//!     <purpose>-<epoch>        0600  one secret a purpose and epoch, or the mark that it was destroyed
//!   tenants/                   0700
//!     <32 hex digits>          0600  one secret a tenant; the name is a keyed hash, the tenant's name stands inside
//!   heads/                     0700
//!     <region>                 0600  the newest signed head of a lake's ledger; no secret, and no part of a backup
//! ```
//! The bytes of a file: see `key_file`. A ring serves one machine: two processes may share it, since a secret is put where
//! nothing is yet and both then read what is there.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use weir_policy::{PurposeId, Purposes};
use zeroize::Zeroizing;

use crate::{
    error::{KeyError, TENANT_BYTES_MAX},
    key_file::{Holds, KeyFile, RING_ID, RING_SECRETS},
    key_set::KeySet,
    keys::{RingId, first_half},
    secret::{SECRET_BYTES, Secret},
    storage,
};

/// A key ring in a folder.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct KeyRing {
    folder: PathBuf,
    file_names: Secret,
    state: Mutex<State>,
}

struct State {
    keys: Arc<KeySet>,
    /// Days of a purpose's epoch, as its files say.
    epoch_days: [Option<u32>; 3],
}

impl KeyRing {
    /// Makes a ring in a folder that is empty or absent.
    ///
    /// # Errors
    ///
    /// The folder is not empty, can be entered by others, or cannot be written.
    pub fn init(folder: &Path) -> Result<Self, KeyError> {
        Self::prepare(folder)?;
        let mut secrets = Zeroizing::new(vec![0; RING_SECRETS]);
        getrandom::fill(&mut secrets).map_err(KeyError::Random)?;
        let file = KeyFile { holds: Holds::Ring, name: String::new(), secrets: Some(secrets) };
        let path = folder.join("ring");
        if !storage::put_if_absent(&path, &encode(&file))? {
            return Err(KeyError::NotEmpty { path: folder.to_owned() });
        }
        Self::open(folder)
    }

    /// Opens a ring and reads every secret in it.
    ///
    /// # Errors
    ///
    /// The ring is absent, damaged, readable by others, or of a newer format.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        if !folder.exists() {
            return Err(KeyError::Missing { path: folder.to_owned() });
        }
        storage::check_folder(folder)?;
        let path = folder.join("ring");
        let file = read(&path, Holds::Ring)?.ok_or_else(|| KeyError::Missing { path: folder.to_owned() })?;
        let ring = Self::of_file(folder, &file).ok_or(KeyError::Damaged { path })?;
        ring.reload()?;
        Ok(ring)
    }

    /// Makes the folders of a ring where nothing is.
    pub(crate) fn prepare(folder: &Path) -> Result<(), KeyError> {
        storage::make_folder(folder)?;
        storage::check_folder(folder)?;
        if !storage::is_empty(folder)? {
            return Err(KeyError::NotEmpty { path: folder.to_owned() });
        }
        storage::make_folder(&folder.join("epochs"))?;
        storage::make_folder(&folder.join("tenants"))
    }

    /// Makes a ring of its file's secrets, with no epochs and tenants yet; none if it has no secrets.
    pub(crate) fn of_file(folder: &Path, file: &KeyFile) -> Option<Self> {
        let secrets = file.secrets.as_ref()?;
        let mut id = RingId([0; RING_ID]);
        id.0.copy_from_slice(secrets.get(..RING_ID)?);
        let mut three = secrets.get(RING_ID..)?.chunks_exact(SECRET_BYTES).map(secret);
        let keys = KeySet {
            id,
            consent: Arc::new(three.next()?),
            lake: Arc::new(three.next()?),
            epochs: BTreeMap::new(),
            tenants: HashMap::new(),
        };
        let state = State { keys: Arc::new(keys), epoch_days: [None; 3] };
        Some(Self { folder: folder.to_owned(), file_names: three.next()?, state: Mutex::new(state) })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the name of the ring.
    pub fn id(&self) -> RingId {
        self.state.lock().keys.id
    }

    /// Returns the secrets as they are now; later changes make a new set.
    pub fn snapshot(&self) -> Arc<KeySet> {
        Arc::clone(&self.state.lock().keys)
    }

    /// Reads the folder anew: what another process made appears, what it destroyed is gone.
    ///
    /// # Errors
    ///
    /// A file is damaged, readable by others, or of a newer format.
    pub fn reload(&self) -> Result<(), KeyError> {
        let mut state = self.state.lock();
        let mut epochs = BTreeMap::new();
        let mut epoch_days = [None; 3];
        let mut tenants = HashMap::new();
        for path in self.files("epochs")? {
            let file = read(&path, Holds::Epoch)?.ok_or_else(|| KeyError::Damaged { path: path.clone() })?;
            // A file under another name would give one epoch's people to another.
            let name = EpochName::parse(&file.name).filter(|name| self.epoch_path(*name) == path);
            let name = name.ok_or(KeyError::Damaged { path })?;
            if let Some(secrets) = &file.secrets {
                epoch_days[name.purpose.index()] = Some(name.days);
                epochs.insert((name.purpose, name.epoch), Arc::new(secret(secrets)));
            }
        }
        for path in self.files("tenants")? {
            let file = read(&path, Holds::Tenant)?.ok_or_else(|| KeyError::Damaged { path: path.clone() })?;
            if path != self.tenant_path(&file.name) {
                return Err(KeyError::Damaged { path });
            }
            if let Some(secrets) = &file.secrets {
                tenants.insert(file.name.into_boxed_str(), Arc::new(secret(secrets)));
            }
        }
        state.epoch_days = epoch_days;
        let keys = Arc::make_mut(&mut state.keys);
        keys.epochs = epochs;
        keys.tenants = tenants;
        Ok(())
    }

    /// Makes the secrets that are missing, from the oldest epoch whose rows are still kept to one ahead.
    ///
    /// Returns how many epochs came into this ring's view. A destroyed epoch stays destroyed.
    ///
    /// # Errors
    ///
    /// The ring cannot be written, or its epochs have another length than the policy's.
    pub fn ensure_epochs(&self, purposes: &Purposes, now_ms: i64) -> Result<usize, KeyError> {
        let mut state = self.state.lock();
        let mut added = 0;
        for purpose in PurposeId::ALL {
            check_days(purposes, purpose, &state)?;
            let next = purposes.epoch(purpose, now_ms).saturating_add(1);
            for epoch in oldest_kept(purposes, purpose, now_ms)..=next {
                if state.keys.has_epoch(purpose, epoch) {
                    continue;
                }
                let name = EpochName { purpose, epoch, days: purposes.rules(purpose).epoch_days };
                let Some(secret) = put(&self.epoch_path(name), Holds::Epoch, &name.text())? else { continue };
                Arc::make_mut(&mut state.keys).epochs.insert((purpose, epoch), Arc::new(secret));
                state.epoch_days[purpose.index()] = Some(name.days);
                added += 1;
            }
        }
        Ok(added)
    }

    /// Makes the tenant's secret if it has none; tells whether it came into this ring's view.
    ///
    /// A destroyed tenant stays destroyed.
    ///
    /// # Errors
    ///
    /// The ring cannot be written, or the name cannot be a tenant's.
    pub fn ensure_tenant(&self, tenant: &str) -> Result<bool, KeyError> {
        if !tenant_name_is_sound(tenant) {
            return Err(KeyError::TenantName);
        }
        let mut state = self.state.lock();
        if state.keys.has_tenant(tenant) {
            return Ok(false);
        }
        let Some(secret) = put(&self.tenant_path(tenant), Holds::Tenant, tenant)? else { return Ok(false) };
        Arc::make_mut(&mut state.keys).tenants.insert(tenant.into(), Arc::new(secret));
        Ok(true)
    }

    /// Destroys the secrets of epochs whose last rows are past their retention; returns how many.
    ///
    /// # Errors
    ///
    /// The ring cannot be written, or its epochs have another length than the policy's.
    pub fn destroy_expired(&self, purposes: &Purposes, now_ms: i64) -> Result<usize, KeyError> {
        let mut state = self.state.lock();
        let mut expired = Vec::new();
        for (purpose, epoch) in state.keys.epochs.keys() {
            check_days(purposes, *purpose, &state)?;
            if *epoch < oldest_kept(purposes, *purpose, now_ms) {
                let days = purposes.rules(*purpose).epoch_days;
                expired.push(EpochName { purpose: *purpose, epoch: *epoch, days });
            }
        }
        for name in &expired {
            destroy(&self.epoch_path(*name), Holds::Epoch, name.text())?;
            Arc::make_mut(&mut state.keys).epochs.remove(&(name.purpose, name.epoch));
        }
        Ok(expired.len())
    }

    /// Destroys a tenant's secret for good: all its pseudonyms, of all purposes, belong to nobody; tells whether it had one.
    ///
    /// # Errors
    ///
    /// The ring cannot be written.
    pub fn destroy_tenant(&self, tenant: &str) -> Result<bool, KeyError> {
        let mut state = self.state.lock();
        if !state.keys.has_tenant(tenant) {
            return Ok(false);
        }
        destroy(&self.tenant_path(tenant), Holds::Tenant, tenant.to_owned())?;
        Arc::make_mut(&mut state.keys).tenants.remove(tenant);
        Ok(true)
    }

    /// Returns all key files, the ring's first.
    pub(crate) fn key_files(&self) -> Result<Vec<PathBuf>, KeyError> {
        let mut paths = vec![self.folder.join("ring")];
        paths.extend(self.files("epochs")?);
        paths.extend(self.files("tenants")?);
        Ok(paths)
    }

    /// Returns where a key file belongs; none if its name is not of its kind.
    pub(crate) fn path_of(&self, file: &KeyFile) -> Option<PathBuf> {
        match file.holds {
            Holds::Epoch => Some(self.epoch_path(EpochName::parse(&file.name)?)),
            Holds::Ring | Holds::Store => None,
            Holds::Tenant => Some(self.tenant_path(&file.name)),
        }
    }

    fn files(&self, folder: &str) -> Result<Vec<PathBuf>, KeyError> {
        let folder = self.folder.join(folder);
        storage::check_folder(&folder)?;
        storage::list(&folder)
    }

    fn epoch_path(&self, name: EpochName) -> PathBuf {
        self.folder.join("epochs").join(format!("{}-{}", name.purpose.name(), name.epoch))
    }

    /// A tenant's name comes from outside and could be `../ring`: its keyed hash cannot.
    fn tenant_path(&self, tenant: &str) -> PathBuf {
        let hash = first_half(&blake3::keyed_hash(self.file_names.expose(), tenant.as_bytes()));
        self.folder.join("tenants").join(format!("{:032x}", u128::from_be_bytes(hash)))
    }
}

/// An epoch's number means its days only while all epochs of the purpose have one length.
fn check_days(purposes: &Purposes, purpose: PurposeId, state: &State) -> Result<(), KeyError> {
    let policy_days = purposes.rules(purpose).epoch_days;
    match state.epoch_days[purpose.index()] {
        Some(ring_days) if ring_days != policy_days => {
            Err(KeyError::EpochLength { purpose: purpose.name(), ring_days, policy_days })
        }
        _ => Ok(()),
    }
}

/// Returns the oldest epoch of which a row may still be kept.
fn oldest_kept(purposes: &Purposes, purpose: PurposeId, now_ms: i64) -> i32 {
    purposes.epoch(purpose, now_ms.saturating_sub(purposes.retention_ms(purpose)))
}

/// What an epoch's file says of itself.
#[derive(Clone, Copy)]
struct EpochName {
    purpose: PurposeId,
    epoch: i32,
    days: u32,
}

impl EpochName {
    fn text(self) -> String {
        format!("{}/{}/{}", self.purpose.name(), self.epoch, self.days)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let name = Self {
            purpose: PurposeId::parse(parts.next()?)?,
            epoch: parts.next()?.parse().ok()?,
            days: parts.next()?.parse().ok()?,
        };
        (name.text() == text).then_some(name)
    }
}

/// Tells whether a tenant's name can be one: short, without `/`, control characters or white space at its ends.
pub fn tenant_name_is_sound(tenant: &str) -> bool {
    !tenant.is_empty()
        && tenant.len() <= TENANT_BYTES_MAX
        && tenant.trim() == tenant
        && !tenant.contains(|character: char| character == '/' || character.is_control())
}

fn read(path: &Path, holds: Holds) -> Result<Option<KeyFile>, KeyError> {
    let Some(bytes) = storage::read(path)? else { return Ok(None) };
    match KeyFile::decode(&bytes) {
        Ok(file) if file.holds == holds => Ok(Some(file)),
        Ok(_) => Err(KeyError::Damaged { path: path.to_owned() }),
        Err(unreadable) => Err(unreadable.at(path)),
    }
}

/// Puts a new secret where none is and returns what is there then; none when it was destroyed.
fn put(path: &Path, holds: Holds, name: &str) -> Result<Option<Secret>, KeyError> {
    let fresh = Zeroizing::new(Secret::random()?.expose().to_vec());
    storage::put_if_absent(path, &encode(&KeyFile { holds, name: name.to_owned(), secrets: Some(fresh) }))?;
    // Read back whoever won: two daemons must not use two secrets.
    let file = read(path, holds)?.filter(|file| file.name == name);
    let file = file.ok_or_else(|| KeyError::Damaged { path: path.to_owned() })?;
    Ok(file.secrets.as_deref().map(|bytes| secret(bytes)))
}

fn destroy(path: &Path, holds: Holds, name: String) -> Result<(), KeyError> {
    storage::replace(path, &encode(&KeyFile { holds, name, secrets: None }))
}

fn encode(file: &KeyFile) -> Zeroizing<Vec<u8>> {
    file.encode().expect("names are checked to be short")
}

fn secret(bytes: &[u8]) -> Secret {
    let mut whole = Zeroizing::new([0; SECRET_BYTES]);
    whole.copy_from_slice(bytes);
    Secret::from_bytes(&whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_of_another_length_than_the_rings_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::init(&folder.path().join("keys")).unwrap();
        ring.state.lock().epoch_days = [None, Some(89), None];
        let refused = ring.ensure_epochs(&Purposes::default(), 0).unwrap_err();
        assert!(matches!(refused, KeyError::EpochLength { purpose: "reliability", ring_days: 89, policy_days: 90 }));
        assert!(ring.destroy_expired(&Purposes::default(), 0).unwrap() == 0);
    }
}
