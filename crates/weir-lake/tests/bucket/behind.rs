//! What somebody does behind the store, or the store itself.

use std::fs;

use weir_lake::Lake;

use crate::people::every_file;
use crate::reader::{live, rows};
use crate::world::{SHOP, World, audited, shop_table, shops};

/// Each kind of object that is changed in a sealed lake is named by `verify`, or the lake does not open.
#[test]
fn verify_names_what_was_flipped_behind_the_store() {
    let world = World::sealed(&[SHOP]);
    world.add(&world.open(), 0, &shops(0..5));
    assert!(world.open().verify().unwrap().is_sound());
    let table = world.table_path(&shop_table());
    let first = |folder| every_file(&world.root().join(folder)).remove(0);
    let objects = [live(&table).remove(0), table.join("_delta_log/00000000000000000001.json"), first("eu/_index")];
    for path in objects {
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(&path, flipped).unwrap();
        let opened = Lake::open(world.config(), &world.key(), world.ledger());
        let found = opened.and_then(|lake| lake.verify());
        let is_named = |broken: &String| path.to_str().unwrap().ends_with(broken);
        let is_noticed = found.as_ref().map_or(true, |report| report.broken.iter().any(is_named));
        assert!(is_noticed, "{}: {found:?}", path.display());
        fs::write(&path, bytes).unwrap();
    }
    assert!(world.open().verify().unwrap().is_sound());
}

/// A store that goes away is not taken for one whose objects are damaged, and what was committed is there when it is back.
#[test]
fn store_that_is_away_is_not_damage() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..5));
    let store = world.object_store.as_ref().unwrap();
    store.lock().kill();
    let why = format!("{:?}", lake.verify().unwrap_err());
    assert!(why.contains("no connection to the store"), "{why}");
    assert!(lake.audit(true).is_err() && Lake::open(world.config(), &world.key(), world.ledger()).is_err());
    store.lock().start_again();
    assert!(lake.verify().unwrap().is_sound());
    audited(&lake);
    assert_eq!(rows(&world.table_path(&shop_table())), 5);
}
