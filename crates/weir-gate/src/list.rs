//! Lists of objects, in the order of their names, a page at a time.
//!
//! S3 sorts keys as bytes, over all folders: `a-b/…` comes before `a/…`. So the names of each folder are sorted with the `/` that
//! follows them, and a walk in that order meets the keys in theirs; folders that can hold nothing of the page are not looked into. Only
//! what the grant shows is walked: whatever else lies in the lake costs no time and so says nothing.

use std::io;

use crate::key::{self, Key};
use crate::objects::{Folder, Mark, Objects};
use crate::shown::Shown;

/// What a list is to hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// What all keys start with.
    pub(crate) prefix: String,
    /// Keys up to this one are passed over.
    pub(crate) after: String,
    /// Whether keys with the same folder below the prefix are one entry.
    pub(crate) by_folder: bool,
    /// Most entries.
    pub(crate) entries_max: usize,
}

/// A page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// Whether there are more.
    pub(crate) is_cut: bool,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Objects below a folder.
    Folder(String),
    /// An object.
    Object(Key, Mark),
}

impl Entry {
    /// The text that a next page begins after.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Folder(name) => name.clone(),
            Self::Object(key, _) => key.to_string(),
        }
    }
}

/// Returns a page of the objects that are shown.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn page(objects: &Objects, shown: &Shown, asked: Asked) -> io::Result<Page> {
    let mut walk = Walk { objects, shown, asked, page: Page::default() };
    // A page that ended with a folder goes on after all that is in it.
    if walk.asked.by_folder && walk.asked.after.ends_with('/') {
        walk.asked.after.push(LAST);
    }
    if walk.asked.entries_max > 0 {
        walk.enter(&mut Vec::new())?;
    }
    Ok(walk.page)
}

struct Walk<'l> {
    objects: &'l Objects,
    shown: &'l Shown,
    asked: Asked,
    page: Page,
}

impl Walk<'_> {
    /// Walks a folder, given by its names.
    fn enter(&mut self, names: &mut Vec<String>) -> io::Result<()> {
        let mut inner = if names.is_empty() {
            self.shown.purposes.iter().map(|purpose| purpose.name().to_owned()).collect()
        } else {
            match self.objects.folder(names)? {
                Some(folder) if names.len() == DEPTH => return self.offer_all(names, &folder),
                Some(folder) => folder.names()?,
                None => return Ok(()),
            }
        };
        match names.len() {
            1 => inner.retain(|name| self.shows(&names[0], name)),
            2 => inner.retain(|name| key::is_folder(name)),
            _ => {}
        }
        for name in &mut inner {
            name.push('/');
        }
        inner.sort();
        for mut name in inner {
            if self.page.is_cut {
                return Ok(());
            }
            let path = format!("{}{name}", path_of(names));
            if self.may_hold(&path) {
                name.pop();
                names.push(name);
                self.enter(names)?;
                names.pop();
            }
        }
        Ok(())
    }

    /// Tells whether two words name a table that is shown.
    fn shows(&self, purpose: &str, event_type: &str) -> bool {
        key::table(purpose, event_type).is_some_and(|(purpose, event_type)| self.shown.has_table(purpose, &event_type))
    }

    /// Tells whether a folder may hold an entry that is still to come.
    fn may_hold(&self, path: &str) -> bool {
        let Asked { prefix, after, .. } = &self.asked;
        let is_within = path.starts_with(prefix.as_str()) || prefix.starts_with(path);
        is_within && (path > after.as_str() || after.starts_with(path))
    }

    /// Puts the objects of a folder on the page.
    fn offer_all(&mut self, names: &[String], folder: &Folder) -> io::Result<()> {
        let path = path_of(names);
        let mut files = folder.names()?;
        files.sort();
        for name in files {
            let text = format!("{path}{name}");
            if text <= self.asked.after || !text.starts_with(&self.asked.prefix) {
                continue;
            }
            let Some(key) = Key::read(&text) else { continue };
            // Removed since, or not a file.
            let Some(mark) = folder.measure(&name)? else { continue };
            if self.page.entries.len() == self.asked.entries_max {
                self.page.is_cut = true;
                return Ok(());
            }
            let rest = text.get(self.asked.prefix.len()..).unwrap_or_default();
            match rest.split_once('/').filter(|_| self.asked.by_folder) {
                Some((first, _)) => {
                    let folder = format!("{}{first}/", self.asked.prefix);
                    self.asked.after = format!("{folder}{LAST}");
                    self.page.entries.push(Entry::Folder(folder));
                }
                None => self.page.entries.push(Entry::Object(key, mark)),
            }
        }
        Ok(())
    }
}

fn path_of(names: &[String]) -> String {
    names.iter().flat_map(|name| [name.as_str(), "/"]).collect()
}

/// Purpose, event type, folder of the table.
const DEPTH: usize = 3;
/// After every character that a key may have.
const LAST: char = char::MAX;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use proptest::prelude::*;
    use tempfile::TempDir;
    use weir_policy::{Policy, PolicySource, PurposeId, PurposeSet};

    use super::*;
    use crate::tests::world::CONTRACT;

    /// Names that sort apart as folders and as texts, beside what is no object.
    fn lake() -> (TempDir, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let log = ["00000000000000000000.json", "00000000000000000001.json", "_last_checkpoint"];
        let rows = ["0a0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet", "5b0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet"];
        let mut keys = Vec::new();
        for purpose in ["reliability", "troubleshooting", "personalization"] {
            for event_type in ["a", "a-b", "a.b", "b"] {
                for (inner, files) in [("_delta_log", &log[..]), ("date=2026-11-27", &rows), ("date=2026-11-28", &rows)]
                {
                    let path = folder.path().join(purpose).join(event_type).join(inner);
                    fs::create_dir_all(&path).unwrap();
                    for file in files {
                        fs::write(path.join(file), "x").unwrap();
                        keys.push(format!("{purpose}/{event_type}/{inner}/{file}"));
                    }
                    for stray in [".staged.parquet", "x.parquet", "00000000000000000001.json.tmp"] {
                        fs::write(path.join(stray), "x").unwrap();
                    }
                    fs::create_dir(path.join("00000000000000000009.json")).unwrap();
                }
                fs::create_dir(folder.path().join(purpose).join(event_type).join("date=2026-11-29")).unwrap();
            }
        }
        for own in ["_coverage/_delta_log", "_restricted/reliability/a/date=2026-11-28", "marketing/a/_delta_log"] {
            fs::create_dir_all(folder.path().join(own)).unwrap();
            fs::write(folder.path().join(own).join(log[0]), "x").unwrap();
        }
        keys.sort();
        (folder, keys)
    }

    /// Everything of some purposes whose event type is one of four.
    fn shown(folder: &TempDir, purposes: PurposeSet) -> Shown {
        let contracts = folder.path().join("contracts");
        fs::create_dir_all(&contracts).unwrap();
        for event_type in ["a", "a-b", "a.b", "b"] {
            let contract = CONTRACT
                .replace("com.example.a", event_type)
                .replace("[\"reliability\", ", "[\"reliability\", \"troubleshooting\", ");
            fs::write(contracts.join(format!("{event_type}.toml")), contract).unwrap();
        }
        let (policy, _) = Policy::load(&PolicySource { contracts, purposes: None }).unwrap();
        Shown { purposes, policy: policy.into() }
    }

    /// All that S3 would list, by the words of its documentation.
    fn listed(keys: &[String], prefix: &str, by_folder: bool) -> Vec<String> {
        let entry = |key: &String| {
            let rest = key.strip_prefix(prefix)?;
            let folder = rest.split_once('/').filter(|_| by_folder);
            Some(folder.map_or_else(|| key.clone(), |(first, _)| format!("{prefix}{first}/")))
        };
        let mut entries: Vec<_> = keys.iter().filter_map(entry).collect();
        entries.dedup();
        entries
    }

    /// Pages of any size, put together, are what S3 would list; each but the last says that it is not the last.
    #[test]
    fn pages_together_are_the_whole_list() {
        let (folder, keys) = lake();
        let objects = Objects::new(folder.path().into(), "", None);
        let prefixes = [
            "",
            "r",
            "reliability",
            "reliability/",
            "reliability/a",
            "reliability/a/",
            "reliability/a-b/_delta_log/",
            "reliability/a/date=",
            "reliability/a/_delta_log/0000",
            "zebra",
            "reliability//",
            "/",
            "_coverage/",
            "\u{7f}\0",
        ];
        let strategy = (prop::sample::select(prefixes.to_vec()), any::<bool>(), 1_usize..30, 0_usize..8);
        let everything = shown(&folder, PurposeSet::ALL);
        let granted: BTreeMap<usize, PurposeSet> = (0..8)
            .map(|bits| (bits, PurposeId::ALL.into_iter().filter(|id| bits >> id.index() & 1 == 1).collect()))
            .collect();
        proptest!(ProptestConfig::with_cases(200), |((prefix, by_folder, entries_max, bits) in strategy)| {
            let purposes = granted[&bits];
            let is_granted = |key: &&String| purposes.iter().any(|purpose| key.starts_with(purpose.name()));
            let listed_keys: Vec<String> = keys.iter().filter(is_granted).cloned().collect();
            let shown = Shown { purposes, ..everything.clone() };
            let mut found = Vec::new();
            let mut after = String::new();
            loop {
                let asked = Asked { prefix: prefix.to_owned(), after: after.clone(), by_folder, entries_max };
                let page = page(&objects, &shown, asked).unwrap();
                prop_assert!(page.entries.len() <= entries_max);
                prop_assert!(!page.is_cut || page.entries.len() == entries_max);
                found.extend(page.entries.iter().map(Entry::name));
                if !page.is_cut {
                    break;
                }
                after = found.last().unwrap().clone();
            }
            prop_assert_eq!(found, listed(&listed_keys, prefix, by_folder));
        });
    }

    #[test]
    fn list_begins_after_any_text() {
        let (folder, keys) = lake();
        let objects = Objects::new(folder.path().into(), "", None);
        let shown = shown(&folder, PurposeSet::ALL);
        for after in
            ["a", "reliability/a", "reliability/a/", "reliability/a/date=2026-11-27/3", "reliability/\u{10FFFF}", "z"]
        {
            let asked = Asked { after: after.to_owned(), entries_max: 1_000, ..Asked::default() };
            let found: Vec<_> = page(&objects, &shown, asked).unwrap().entries.iter().map(Entry::name).collect();
            let rest: Vec<_> = keys.iter().filter(|key| key.as_str() > after).cloned().collect();
            assert_eq!(found, rest, "{after}");
        }
        let none = Asked { entries_max: 0, ..Asked::default() };
        assert_eq!(page(&objects, &shown, none).unwrap(), Page::default());
        let nowhere = Objects::new(folder.path().into(), "nowhere", None);
        let asked = Asked { entries_max: 5, ..Asked::default() };
        assert_eq!(page(&nowhere, &shown, asked).unwrap(), Page::default());
    }
}
