//! The actions of KMS.

use serde_json::{Value, json};

use super::{Cloud, ENDING, Key, Sealed};
use crate::stub::{Reply, Request};

type Answer = Result<Value, &'static str>;

impl Cloud {
    pub(super) fn kms(&mut self, action: &str, request: &Request) -> Reply {
        let refused =
            |status, kind: &str| Reply::json(status, &json!({ "__type": kind, "message": "no word of this is shown" }));
        if let Some(at) = self.troubles.iter().position(|trouble| trouble.action == action) {
            let trouble = self.troubles.remove(at);
            if trouble.is_done {
                self.act(action, &request.json()).expect("what can be done");
            }
            return refused(trouble.status, &trouble.kind);
        }
        if request.header("content-type") != "application/x-amz-json-1.1" || request.method != "POST" {
            return refused(400, "ValidationException");
        }
        let who = match self.who(request) {
            Ok(who) => who,
            Err(kind) => return refused(400, kind),
        };
        self.asked.push(format!("{who} {action}"));
        let body = request.json();
        if !self.may(&who, action, &body) {
            return refused(400, "AccessDeniedException");
        }
        if self.unheard > 0
            && action != "CreateAlias"
            && names(&body).iter().any(|name| self.aliases.contains_key(name))
        {
            self.unheard -= 1;
            return refused(400, "NotFoundException");
        }
        match self.act(action, &body) {
            Ok(answer) => Reply::json(200, &answer),
            Err(kind) => refused(if kind == "KMSInternalException" { 500 } else { 400 }, kind),
        }
    }

    fn act(&mut self, action: &str, body: &Value) -> Answer {
        match action {
            "CreateKey" => self.create_key(body),
            "CreateAlias" => self.create_alias(body),
            "DeleteAlias" => {
                let alias = text(body, "AliasName");
                self.aliases.remove(&alias).map(|_| Value::Null).ok_or("NotFoundException")
            }
            "DescribeKey" => {
                let id = self.id(&text(body, "KeyId"), true)?;
                Ok(self.about(&id))
            }
            "Encrypt" => self.encrypt(&text(body, "KeyId"), body["EncryptionContext"].clone(), text(body, "Plaintext")),
            "Decrypt" => {
                let plaintext = self.decrypt(&text(body, "KeyId"), &body["EncryptionContext"], body)?;
                Ok(json!({ "Plaintext": plaintext, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT" }))
            }
            "ReEncrypt" => {
                let plaintext = self.decrypt(&text(body, "SourceKeyId"), &body["SourceEncryptionContext"], body)?;
                self.encrypt(&text(body, "DestinationKeyId"), body["DestinationEncryptionContext"].clone(), plaintext)
            }
            "ListKeyRotations" => self.rotations(body),
            "RotateKeyOnDemand" => {
                let id = self.enabled(&text(body, "KeyId"), false)?;
                let key = self.keys.get_mut(&id).ok_or("NotFoundException")?;
                if key.rotations >= 25 {
                    return Err("LimitExceededException");
                }
                key.rotations += 1;
                Ok(json!({ "KeyId": id }))
            }
            "ScheduleKeyDeletion" => self.schedule(body),
            _ => Err("UnsupportedOperationException"),
        }
    }

    fn create_key(&mut self, body: &Value) -> Answer {
        if body["KeyUsage"] != "ENCRYPT_DECRYPT" || body["KeySpec"] != "SYMMETRIC_DEFAULT" {
            return Err("ValidationException");
        }
        let id = format!("1234abcd-{:04}", self.number());
        self.keys.insert(id.clone(), Key { state: "Enabled", rotations: 0, about: text(body, "Description") });
        Ok(self.about(&id))
    }

    fn create_alias(&mut self, body: &Value) -> Answer {
        let (alias, target) = (text(body, "AliasName"), text(body, "TargetKeyId"));
        let is_word = |word: &str| word.chars().all(|letter| letter.is_ascii_alphanumeric() || "/_-".contains(letter));
        if !alias.strip_prefix("alias/").is_some_and(|word| !word.is_empty() && is_word(word)) {
            return Err("InvalidAliasNameException");
        }
        let id = self.id(&target, false)?;
        if self.aliases.contains_key(&alias) {
            return Err("AlreadyExistsException");
        }
        self.aliases.insert(alias, id);
        Ok(Value::Null)
    }

    fn encrypt(&mut self, name: &str, context: Value, plaintext: String) -> Answer {
        let key = self.enabled(name, true)?;
        let is_long = plaintext.len() > 4096 * 4 / 3;
        if plaintext.is_empty() || is_long {
            return Err("ValidationException");
        }
        let blob = format!("AQICAHh{:09}==", self.number());
        self.sealed.insert(blob.clone(), Sealed { key: key.clone(), context, plaintext });
        Ok(json!({ "CiphertextBlob": blob, "KeyId": arn(&key) }))
    }

    fn decrypt(&self, name: &str, context: &Value, body: &Value) -> Result<String, &'static str> {
        let key = self.enabled(name, true)?;
        let sealed = self.sealed.get(&text(body, "CiphertextBlob")).ok_or("InvalidCiphertextException")?;
        if sealed.key != key {
            return Err("IncorrectKeyException");
        }
        if sealed.context == *context { Ok(sealed.plaintext.clone()) } else { Err("InvalidCiphertextException") }
    }

    /// Two at a time, whatever is asked for.
    fn rotations(&self, body: &Value) -> Answer {
        let id = self.id(&text(body, "KeyId"), false)?;
        let count = self.keys.get(&id).map_or(0, |key| key.rotations);
        let from = text(body, "Marker").parse().unwrap_or(0_usize);
        let to = count.min(from + 2);
        let found: Vec<_> = (from..to).map(|_| json!({ "KeyId": id, "RotationType": "ON_DEMAND" })).collect();
        Ok(if to < count {
            json!({ "Rotations": found, "Truncated": true, "NextMarker": to.to_string() })
        } else {
            json!({ "Rotations": found, "Truncated": false })
        })
    }

    fn schedule(&mut self, body: &Value) -> Answer {
        let id = self.id(&text(body, "KeyId"), false)?;
        if !body["PendingWindowInDays"].as_u64().is_some_and(|days| (7..=30).contains(&days)) {
            return Err("ValidationException");
        }
        let key = self.keys.get_mut(&id).ok_or("NotFoundException")?;
        if key.state == ENDING {
            return Err("KMSInvalidStateException");
        }
        key.state = ENDING;
        Ok(json!({ "KeyId": id, "KeyState": ENDING }))
    }

    /// Returns the id of a key by id, ARN or, where the action takes one, alias.
    fn id(&self, name: &str, takes_alias: bool) -> Result<String, &'static str> {
        let id = match self.aliases.get(name) {
            Some(id) if takes_alias => id.as_str(),
            Some(_) | None => name.rsplit('/').next().unwrap_or_default(),
        };
        if self.keys.contains_key(id) { Ok(id.to_owned()) } else { Err("NotFoundException") }
    }

    fn enabled(&self, name: &str, takes_alias: bool) -> Result<String, &'static str> {
        let id = self.id(name, takes_alias)?;
        match self.keys.get(&id).map(|key| key.state) {
            Some("Enabled") => Ok(id),
            Some("Disabled") => Err("DisabledException"),
            _ => Err("KMSInvalidStateException"),
        }
    }

    fn about(&self, id: &str) -> Value {
        let state = self.keys.get(id).map(|key| key.state);
        json!({ "KeyMetadata": { "KeyId": id, "Arn": arn(id), "KeyState": state } })
    }

    /// Tells whether somebody may do that with a key: by its alias, as `kms:ResourceAliases` has it.
    fn may(&self, who: &str, action: &str, body: &Value) -> bool {
        let names = names(body);
        let Some((actions, prefix)) = self.users.get(who).and_then(|user| user.rights.as_ref()) else { return true };
        let is_theirs = |alias: &str| alias.starts_with(prefix);
        let has_name = |id: &str| self.aliases.iter().any(|(alias, of)| of == id && is_theirs(alias));
        let is_right = names.iter().filter(|name| !name.is_empty()).all(|name| match self.id(name, true) {
            Ok(id) => has_name(&id),
            Err(_) => is_theirs(name),
        });
        is_right && actions.iter().any(|allowed| allowed == action)
    }
}

fn arn(id: &str) -> String {
    format!("arn:aws:kms:eu-test-1:111122223333:key/{id}")
}

/// Returns by which names an action means a key; those that are not there are empty.
fn names(body: &Value) -> [String; 3] {
    ["KeyId", "SourceKeyId", "AliasName"].map(|name| text(body, name))
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}
