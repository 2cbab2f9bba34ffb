//! The key ring: where secrets are made, kept and destroyed.
//!
//! ```text
//! <ring>/                      0700
//!   ring                       0600  id, consent secret, lake secret, secret of file names
//!   epochs/                    0700
//!     <purpose>-<epoch>        0600  one secret a purpose and epoch, or the mark that it was destroyed
//!   tenants/                   0700
//!     <32 hex digits>          0600  one secret a tenant; the name is a keyed hash, the tenant's name stands inside
//!   sealing/                   0700  absent in a ring that was made before there were such keys
//!     1, 2, …                  0600  one private key that producers seal to, or the mark that it was destroyed
//!   heads/                     0700
//!     <region>                 0600  the newest signed head of a lake's ledger; no secret, and no part of a backup
//! ```
//! The bytes of a file: see `key_file`; in clear or wrapped by a vault: see `custody`. A ring serves one machine: two processes may
//! share it, since a secret is put where nothing is yet and both then read what is there.

mod epoch_name;
mod epochs;
mod sealing;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use weir_policy::PurposeId;
use zeroize::Zeroizing;

use crate::{
    custody::{Custody, Opened, RING_KEY, Secrets, key_of},
    error::{KeyError, TENANT_BYTES_MAX},
    jwe::JweKey,
    key_file::{Holds, KeyFile, RING_ID, RING_SECRETS},
    key_set::KeySet,
    keys::{RingId, first_half},
    secret::{SECRET_BYTES, Secret},
    storage,
    wrap::Wrap,
};
use epoch_name::EpochName;
pub use epochs::Tended;

/// A key ring in a folder.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct KeyRing {
    folder: PathBuf,
    custody: Custody,
    file_names: Secret,
    /// Held by who changes the ring; a vault may take its time, and nobody waits for it who only looks.
    changing: Mutex<()>,
    live: LiveKeys,
}

/// The secrets of a ring as they are whenever they are asked for.
#[expect(missing_debug_implementations, reason = "holds secrets")]
#[derive(Clone)]
pub struct LiveKeys(Arc<Mutex<Arc<KeySet>>>);

impl LiveKeys {
    /// Returns the secrets as they are now; later changes make a new set.
    pub fn snapshot(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.lock())
    }
}

impl KeyRing {
    /// Makes a ring in a folder that is empty or absent, with its secrets in clear.
    ///
    /// # Errors
    ///
    /// The folder is not empty, can be entered by others, or cannot be written.
    pub fn init(folder: &Path) -> Result<Self, KeyError> {
        Self::init_with(folder, None)
    }

    /// The same, with secrets that the vault wraps, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Self::init`]; or the vault has the keys of a ring already, or does not do what it is asked.
    pub fn init_with(folder: &Path, vault: Option<Arc<dyn Wrap>>) -> Result<Self, KeyError> {
        Self::prepare(folder)?;
        let custody = Custody::of(vault);
        custody.claim(RING_KEY)?;
        let mut secrets = Zeroizing::new(vec![0; RING_SECRETS]);
        getrandom::fill(&mut secrets).map_err(KeyError::Random)?;
        let content = custody.content(RING_KEY, secrets)?;
        let file = KeyFile { holds: Holds::Ring, name: String::new(), content };
        let path = folder.join("ring");
        if !storage::put_if_absent(&path, &encode(&file))? {
            return Err(KeyError::NotEmpty { path: folder.to_owned() });
        }
        Self::open_in(folder, custody)
    }

    /// Opens a ring whose secrets are in clear, and reads every one of them.
    ///
    /// # Errors
    ///
    /// The ring is absent, damaged, readable by others, of a newer format, or wrapped.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        Self::open_with(folder, None)
    }

    /// Opens a ring whose secrets the vault wrapped, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; or a file is in clear, or the vault does not do what it is asked.
    pub fn open_with(folder: &Path, vault: Option<Arc<dyn Wrap>>) -> Result<Self, KeyError> {
        Self::open_in(folder, Custody::of(vault))
    }

    fn open_in(folder: &Path, custody: Custody) -> Result<Self, KeyError> {
        let ring = Self::enter(folder, custody)?;
        ring.reload()?;
        Ok(ring)
    }

    /// Opens a ring's own file, with no epochs and tenants yet.
    pub(crate) fn enter(folder: &Path, custody: Custody) -> Result<Self, KeyError> {
        let missing = || KeyError::Missing { path: folder.to_owned() };
        if !folder.exists() {
            return Err(missing());
        }
        storage::check_folder(folder)?;
        let file = read(&folder.join("ring"), Holds::Ring)?.ok_or_else(missing)?;
        Self::of_file(folder, custody, file)
    }

    /// Makes the folders of a ring where nothing is.
    pub(crate) fn prepare(folder: &Path) -> Result<(), KeyError> {
        storage::make_folder(folder)?;
        storage::check_folder(folder)?;
        if !storage::is_empty(folder)? {
            return Err(KeyError::NotEmpty { path: folder.to_owned() });
        }
        storage::make_folder(&folder.join("epochs"))?;
        storage::make_folder(&folder.join("tenants"))?;
        storage::make_folder(&folder.join("sealing"))
    }

    /// Makes a ring of its file's secrets, with no epochs and tenants yet.
    pub(crate) fn of_file(folder: &Path, custody: Custody, file: KeyFile) -> Result<Self, KeyError> {
        let path = folder.join("ring");
        let opened = custody.open(vec![(path.clone(), file)])?;
        let secrets = opened.first().and_then(|ring| ring.secrets.live());
        let parts = secrets.and_then(|secrets| secrets.split_at_checked(RING_ID));
        let (id, three) = parts.ok_or(KeyError::Damaged { path })?;
        let mut three = three.chunks_exact(SECRET_BYTES).map(secret);
        let mut next = || three.next().expect("a ring's file has three secrets");
        let keys = KeySet {
            id: RingId(id.try_into().expect("the id was cut to its length")),
            consent: Arc::new(next()),
            lake: Arc::new(next()),
            epochs: BTreeMap::new(),
            tenants: HashMap::new(),
            sealing: BTreeMap::new(),
            has_lapsed: false,
            epoch_days: [None; 3],
        };
        let file_names = next();
        let live = LiveKeys(Arc::new(Mutex::new(Arc::new(keys))));
        Ok(Self { folder: folder.to_owned(), custody, file_names, changing: Mutex::new(()), live })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn custody(&self) -> &Custody {
        &self.custody
    }

    /// Returns the name of the ring.
    pub fn id(&self) -> RingId {
        self.live.snapshot().id
    }

    /// Returns the secrets as they are now; later changes make a new set.
    pub fn snapshot(&self) -> Arc<KeySet> {
        self.live.snapshot()
    }

    /// Returns the secrets for somebody who outlives this moment: an epoch that is made or destroyed later is so there too.
    pub fn live(&self) -> LiveKeys {
        self.live.clone()
    }

    /// Tells whether a vault wraps the secrets, so that it has to confirm them again and again.
    pub fn is_wrapped(&self) -> bool {
        self.custody.vault().is_some()
    }

    /// Reads the folder anew, and has the vault open every file again: what another process made appears, what it destroyed is gone.
    ///
    /// What a vault has destroyed since is marked as destroyed in the folder too.
    ///
    /// # Errors
    ///
    /// A file is damaged, readable by others, or of a newer format; or the vault does not open it. The secrets stay as they were.
    pub fn reload(&self) -> Result<(), KeyError> {
        let _changing = self.changing.lock();
        let opened = self.custody.open(self.read_all()?)?;
        let mut epochs = BTreeMap::new();
        let mut epoch_days = [None; 3];
        let mut tenants = HashMap::new();
        let mut sealing = BTreeMap::new();
        let (of_ring, others) = opened.split_first().expect("a ring's own file is read first");
        if of_ring.secrets.live().is_none_or(|secrets| !secrets.starts_with(&self.id().0)) {
            return Err(KeyError::Damaged { path: of_ring.path.clone() });
        }
        for Opened { path, name, secrets } in others {
            let Some(secrets) = secrets.live().map(|secrets| secret(secrets)) else { continue };
            match self.holds_at(path) {
                Holds::Sealing => {
                    let key = JweKey::of_secret(&secrets).ok_or_else(|| KeyError::Damaged { path: path.clone() })?;
                    sealing.insert(sealing::number(name).unwrap_or_default(), Arc::new(key));
                }
                Holds::Tenant => {
                    tenants.insert(name.as_str().into(), Arc::new(secrets));
                }
                Holds::Epoch | Holds::Ring | Holds::Store => {
                    let Some(name) = EpochName::parse(name) else { continue };
                    epoch_days[name.purpose.index()] = Some(name.days);
                    epochs.insert((name.purpose, name.epoch), Arc::new(secrets));
                }
            }
        }
        self.note_gone(others)?;
        let mut keys = self.live.0.lock();
        // Who holds the set as it was keeps what it derived from it, as long as nothing differs.
        let differs = keys.has_lapsed || keys.epochs != epochs || keys.tenants != tenants || keys.sealing != sealing;
        if differs || keys.epoch_days != epoch_days {
            let keys = Arc::make_mut(&mut keys);
            (keys.epochs, keys.tenants, keys.sealing, keys.has_lapsed) = (epochs, tenants, sealing, false);
            keys.epoch_days = epoch_days;
        }
        Ok(())
    }

    /// Forgets the secrets of epochs and tenants until they are [read anew](Self::reload): their vault did not confirm them for too long.
    pub fn lapse(&self) {
        let mut keys = self.live.0.lock();
        let keys = Arc::make_mut(&mut keys);
        *keys = KeySet { has_lapsed: true, ..keys.without_pseudonyms() };
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
        let _changing = self.changing.lock();
        if self.snapshot().has_tenant(tenant) {
            return Ok(false);
        }
        let Some(secret) = self.put(&self.tenant_path(tenant), Holds::Tenant, tenant)? else { return Ok(false) };
        Arc::make_mut(&mut self.live.0.lock()).tenants.insert(tenant.into(), Arc::new(secret));
        Ok(true)
    }

    /// Destroys a tenant's secret for good: all its pseudonyms, of all purposes, belong to nobody; tells whether it had one.
    ///
    /// # Errors
    ///
    /// The ring cannot be written.
    pub fn destroy_tenant(&self, tenant: &str) -> Result<bool, KeyError> {
        let _changing = self.changing.lock();
        let destroyed = self.destroy(&self.tenant_path(tenant), Holds::Tenant)?;
        Arc::make_mut(&mut self.live.0.lock()).tenants.remove(tenant);
        Ok(destroyed)
    }

    /// Returns what stands for a tenant outside the ring: a keyed hash, which is the name of its key in a vault.
    pub fn tenant_key(&self, tenant: &str) -> String {
        key_of(Holds::Tenant, &self.tenant_path(tenant))
    }

    /// Returns all key files, the ring's first.
    pub(crate) fn key_files(&self) -> Result<Vec<PathBuf>, KeyError> {
        let mut paths = vec![self.folder.join("ring")];
        paths.extend(self.files("epochs")?);
        paths.extend(self.files("tenants")?);
        paths.extend(self.sealing_files()?);
        Ok(paths)
    }

    /// Reads all key files, the ring's first; each must stand where its name belongs.
    pub(crate) fn read_all(&self) -> Result<Vec<(PathBuf, KeyFile)>, KeyError> {
        let mut files = Vec::new();
        for path in self.key_files()? {
            let file = read(&path, self.holds_at(&path))?.filter(|file| self.path_of(file).as_ref() == Some(&path));
            // A file under another name would give one epoch's people to another.
            let file = file.ok_or_else(|| KeyError::Damaged { path: path.clone() })?;
            files.push((path, file));
        }
        Ok(files)
    }

    /// Returns what a key file of this ring holds, by its place.
    fn holds_at(&self, path: &Path) -> Holds {
        let of_folder = [("epochs", Holds::Epoch), ("sealing", Holds::Sealing), ("tenants", Holds::Tenant)];
        let found = of_folder.into_iter().find(|(folder, _)| path.starts_with(self.folder.join(folder)));
        found.map_or(Holds::Ring, |(_, holds)| holds)
    }

    /// Returns where a key file belongs; none if its name is not of its kind.
    pub(crate) fn path_of(&self, file: &KeyFile) -> Option<PathBuf> {
        match file.holds {
            Holds::Epoch => {
                let name = EpochName::parse(&file.name)?;
                Some(self.epoch_path(name.purpose, name.epoch))
            }
            Holds::Ring => file.name.is_empty().then(|| self.folder.join("ring")),
            Holds::Sealing => Some(self.sealing_path(sealing::number(&file.name)?)),
            Holds::Store => None,
            Holds::Tenant => Some(self.tenant_path(&file.name)),
        }
    }

    fn files(&self, folder: &str) -> Result<Vec<PathBuf>, KeyError> {
        let folder = self.folder.join(folder);
        storage::check_folder(&folder)?;
        storage::list(&folder)
    }

    fn epoch_path(&self, purpose: PurposeId, epoch: i32) -> PathBuf {
        self.folder.join("epochs").join(format!("{}-{epoch}", purpose.name()))
    }

    /// A tenant's name comes from outside and could be `../ring`: its keyed hash cannot.
    fn tenant_path(&self, tenant: &str) -> PathBuf {
        let hash = first_half(&blake3::keyed_hash(self.file_names.expose(), tenant.as_bytes()));
        self.folder.join("tenants").join(format!("{:032x}", u128::from_be_bytes(hash)))
    }

    /// Puts a new secret where none is and returns what is there then; none when it was destroyed.
    fn put(&self, path: &Path, holds: Holds, name: &str) -> Result<Option<Secret>, KeyError> {
        if !path.exists() {
            let fresh = if holds == Holds::Sealing { JweKey::random()? } else { Secret::random()? };
            let fresh = Zeroizing::new(fresh.expose().to_vec());
            let content = self.custody.content(&key_of(holds, path), fresh)?;
            storage::put_if_absent(path, &encode(&KeyFile { holds, name: name.to_owned(), content }))?;
        }
        // Read back whoever won: two daemons must not use two secrets.
        let file = read(path, holds)?.filter(|file| file.name == name);
        let file = file.ok_or_else(|| KeyError::Damaged { path: path.to_owned() })?;
        let opened = self.custody.open(vec![(path.to_owned(), file)])?;
        Ok(opened.first().and_then(|opened| opened.secrets.live()).map(|bytes| secret(bytes)))
    }

    /// Destroys what a file holds; tells whether it held something.
    fn destroy(&self, path: &Path, holds: Holds) -> Result<bool, KeyError> {
        let Some(file) = read(path, holds)? else { return Ok(false) };
        self.custody.destroy(&self.folder, path, file)
    }

    /// Marks as destroyed what this process had open and the vault has destroyed since.
    ///
    /// What it never had open is left alone: a vault that just has not heard of a new key yet takes nothing away.
    fn note_gone(&self, opened: &[Opened]) -> Result<(), KeyError> {
        let keys = self.snapshot();
        for Opened { path, name, secrets } in opened {
            let holds = self.holds_at(path);
            let was_open = match holds {
                Holds::Sealing => sealing::number(name).is_some_and(|number| keys.sealing.contains_key(&number)),
                Holds::Tenant => keys.has_tenant(name),
                Holds::Epoch | Holds::Ring | Holds::Store => {
                    EpochName::parse(name).is_some_and(|name| keys.has_epoch(name.purpose, name.epoch))
                }
            };
            if matches!(secrets, Secrets::Gone) && was_open {
                self.destroy(path, holds)?;
            }
        }
        Ok(())
    }
}

/// Tells whether a tenant's name can be one: short, without `/`, control characters or white space at its ends.
pub fn tenant_name_is_sound(tenant: &str) -> bool {
    !tenant.is_empty()
        && tenant.len() <= TENANT_BYTES_MAX
        && tenant.trim() == tenant
        && !tenant.contains(|character: char| character == '/' || character.is_control())
}

pub(crate) fn read(path: &Path, holds: Holds) -> Result<Option<KeyFile>, KeyError> {
    let Some(bytes) = storage::read(path)? else { return Ok(None) };
    match KeyFile::decode(&bytes) {
        Ok(file) if file.holds == holds => Ok(Some(file)),
        Ok(_) => Err(KeyError::Damaged { path: path.to_owned() }),
        Err(unreadable) => Err(unreadable.at(path)),
    }
}

pub(crate) fn encode(file: &KeyFile) -> Zeroizing<Vec<u8>> {
    file.encode().expect("names are checked to be short")
}

pub(crate) fn secret(bytes: &[u8]) -> Secret {
    let mut whole = Zeroizing::new([0; SECRET_BYTES]);
    whole.copy_from_slice(bytes);
    Secret::from_bytes(&whole)
}
