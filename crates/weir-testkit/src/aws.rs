//! AWS as its API reference describes it, as far as weir asks it: KMS, its signatures, and the ways to credentials.
//!
//! The real service cannot run in a test. What is here refuses what the reference says is refused; that AWS does what its reference
//! says is not tested.

mod kms;
mod signature;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::stub::{Reply, Request, Stub};

/// A running AWS with one region, which is empty.
#[derive(Debug)]
pub struct Aws {
    stub: Stub,
    cloud: Arc<Mutex<Cloud>>,
}

/// All that it knows.
#[derive(Debug, Default)]
struct Cloud {
    keys: BTreeMap<String, Key>,
    aliases: BTreeMap<String, String>,
    sealed: BTreeMap<String, Sealed>,
    users: BTreeMap<String, User>,
    /// What is answered instead, the first first.
    troubles: Vec<Trouble>,
    /// Each action and who asked for it, as a trail of audit has it.
    asked: Vec<String>,
    /// The next names that are said not to be there.
    unheard: usize,
    is_gone: bool,
    numbers: u64,
}

#[derive(Debug)]
struct Key {
    state: &'static str,
    rotations: usize,
    about: String,
}

#[derive(Debug)]
struct Sealed {
    key: String,
    context: Value,
    plaintext: String,
}

/// Whoever has credentials.
#[derive(Debug)]
struct User {
    secret: String,
    token: Option<String>,
    /// Which actions, and what the alias of a key begins with.
    rights: Option<(Vec<String>, String)>,
}

#[derive(Debug)]
struct Trouble {
    action: String,
    status: u16,
    kind: String,
    /// Whether the action is done all the same.
    is_done: bool,
}

impl Aws {
    /// The region that it is.
    pub const REGION: &'static str = "eu-test-1";

    /// Starts it.
    pub fn start() -> Self {
        let cloud = Arc::new(Mutex::new(Cloud::default()));
        let shared = Arc::clone(&cloud);
        let stub = Stub::start(move |request| answer(&mut lock(&shared), request));
        Self { stub, cloud }
    }

    /// Returns the address of everything of it.
    pub fn address(&self) -> String {
        self.stub.address()
    }

    /// Gives somebody credentials with every right; returns their secret.
    pub fn user(&self, id: &str) -> String {
        let secret = format!("secret/of+{id}");
        let user = User { secret: secret.clone(), token: None, rights: None };
        self.cloud().users.insert(id.to_owned(), user);
        secret
    }

    /// Leaves somebody with some rights, to keys whose alias begins so.
    ///
    /// # Panics
    /// When there is nobody of that name.
    pub fn limit(&self, id: &str, actions: &[&str], alias: &str) {
        let rights = (actions.iter().map(|&action| action.to_owned()).collect(), alias.to_owned());
        self.cloud().users.get_mut(id).expect("a user").rights = Some(rights);
    }

    /// Takes somebody's credentials away.
    pub fn revoke(&self, id: &str) {
        self.cloud().users.remove(id);
    }

    /// Returns the names that stand for keys which are not about to be deleted.
    pub fn names(&self) -> Vec<String> {
        let cloud = self.cloud();
        let is_there = |key: &str| cloud.keys.get(key).is_some_and(|key| key.state != ENDING);
        cloud.aliases.iter().filter(|(_, key)| is_there(key)).map(|(alias, _)| alias.clone()).collect()
    }

    /// Returns how the keys are whose description is that name: each one's state.
    pub fn states(&self, name: &str) -> Vec<&'static str> {
        self.cloud().keys.values().filter(|key| key.about == name).map(|key| key.state).collect()
    }

    /// Sets how the key is that an alias stands for, as its administrator may: `Enabled`, `Disabled`, `PendingDeletion`, …
    ///
    /// # Panics
    /// When there is no such alias.
    pub fn set_state(&self, alias: &str, state: &'static str) {
        let mut cloud = self.cloud();
        let key = cloud.aliases.get(alias).expect("an alias").clone();
        cloud.keys.get_mut(&key).expect("a key").state = state;
    }

    /// Has an alias stand for what another one does.
    ///
    /// # Panics
    /// When there is no such alias.
    pub fn point(&self, alias: &str, other: &str) {
        let mut cloud = self.cloud();
        let key = cloud.aliases.get(other).expect("an alias").clone();
        cloud.aliases.insert(alias.to_owned(), key);
    }

    /// Answers the next questions for an action with an error, so many times.
    pub fn trouble(&self, action: &str, status: u16, kind: &str, times: usize) {
        let trouble = || Trouble { action: action.to_owned(), status, kind: kind.to_owned(), is_done: false };
        self.cloud().troubles.extend((0..times).map(|_| trouble()));
    }

    /// Does what is asked for next by that action, and answers as a proxy does that waited in vain.
    pub fn lose_answer(&self, action: &str) {
        let lost = Trouble { action: action.to_owned(), status: 504, kind: String::new(), is_done: true };
        self.cloud().troubles.push(lost);
    }

    /// Has the next names that are looked up not be there yet.
    pub fn forget_names(&self, times: usize) {
        self.cloud().unheard = times;
    }

    /// Stops or begins to answer.
    pub fn set_gone(&self, is_gone: bool) {
        self.cloud().is_gone = is_gone;
    }

    /// Returns what was asked since the last call, as `who action`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.cloud().asked)
    }

    fn cloud(&self) -> MutexGuard<'_, Cloud> {
        lock(&self.cloud)
    }
}

fn lock(cloud: &Mutex<Cloud>) -> MutexGuard<'_, Cloud> {
    cloud.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(cloud: &mut Cloud, request: &Request) -> Option<Reply> {
    if cloud.is_gone {
        return None;
    }
    if let Some(action) = request.header("x-amz-target").strip_prefix("TrentService.") {
        return Some(cloud.kms(action, request));
    }
    if request.header("content-type").starts_with("application/x-www-form-urlencoded") {
        return Some(cloud.sts(&request.form()));
    }
    Some(cloud.metadata(request))
}

impl Cloud {
    /// The token service: a role for a token that begins with `good`.
    fn sts(&mut self, form: &BTreeMap<String, String>) -> Reply {
        let get = |name: &str| form.get(name).map_or("", String::as_str);
        let is_known = get("Version") == "2011-06-15"
            && get("Action") == "AssumeRoleWithWebIdentity"
            && get("RoleArn").starts_with("arn:aws:iam::")
            && !get("RoleSessionName").is_empty();
        if !is_known || !get("WebIdentityToken").starts_with("good") {
            let body = "<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>".to_owned();
            return Reply { status: 400, body };
        }
        let (id, secret, token) = self.session(get("RoleArn"));
        let body = format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
             <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{ENDS}</Expiration>\
             </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        );
        Reply { status: 200, body }
    }

    /// What instances ask (with a token first), and what containers do.
    fn metadata(&mut self, request: &Request) -> Reply {
        let text = |body: &str| Reply { status: 200, body: body.to_owned() };
        let refused = Reply { status: 401, body: "Unauthorized".to_owned() };
        let is_open = request.header("x-aws-ec2-metadata-token") == "metadata-token";
        match (request.method.as_str(), request.path.as_str()) {
            ("PUT", "/latest/api/token") if !request.header("x-aws-ec2-metadata-token-ttl-seconds").is_empty() => {
                text("metadata-token")
            }
            ("GET", "/latest/meta-data/iam/security-credentials/") if is_open => text("weir-role"),
            ("GET", "/latest/meta-data/iam/security-credentials/weir-role") if is_open => self.given(),
            ("GET", "/v2/credentials") if request.header("authorization") == "container-token" => self.given(),
            _ => refused,
        }
    }

    fn given(&mut self) -> Reply {
        let (id, secret, token) = self.session("weir-role");
        let body = json!({
            "Code": "Success", "AccessKeyId": id, "SecretAccessKey": secret, "Token": token, "Expiration": ENDS,
        });
        Reply::json(200, &body)
    }

    /// Makes credentials that need a token.
    fn session(&mut self, role: &str) -> (String, String, String) {
        let number = self.number();
        let (id, secret, token) =
            (format!("ASIA{number}"), format!("secret/{number}"), format!("token/{number}+{role}=="));
        let user = User { secret: secret.clone(), token: Some(token.clone()), rights: None };
        self.users.insert(id.clone(), user);
        (id, secret, token)
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

/// How a key is that will be deleted.
const ENDING: &str = "PendingDeletion";
/// When sessions end; no test waits for it.
const ENDS: &str = "2199-01-01T00:00:00Z";
