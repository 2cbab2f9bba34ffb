//! What `weir bench` says of contracts; how fast this machine is, is no test's business.

use weir_policy::{Contract, ContractIx, FieldClass, Resolved};

use crate::program::Weir;
use crate::world::{Settings, World};

/// Every field of every contract has its costs: content takes no byte, the subject cannot be left out, and the rest is in the tables.
#[test]
fn bench_says_what_each_field_costs() {
    let world = World::new(&Settings::default());
    let arguments = ["bench", "--events", "3000", "--rounds", "1", "--fields"];
    let printed = Weir::new(&world, arguments).run().assert_done();
    for stage in ["filter ", "commit ", "both "] {
        assert!(printed.lines().any(|line| line.starts_with(stage)), "{printed}");
    }
    let is_newest = |(place, contract): &(ContractIx, &Contract)| {
        world.policy.resolve(&contract.event_type, None, world.now_ms) == Resolved::Contract(*place)
    };
    for (_, contract) in world.policy.iter().filter(is_newest) {
        let is_of = |line: &&str| line.starts_with(&format!("{} ", contract.event_type));
        let lines: Vec<Vec<_>> = printed.lines().filter(is_of).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines.len(), contract.fields.len(), "{printed}");
        for (place, (field, line)) in contract.fields.iter().zip(&lines).enumerate() {
            assert_eq!(line[1..3], [field.path.as_str(), field.class.name()]);
            let bytes: f64 = line.last().unwrap().parse().unwrap();
            assert_eq!(bytes > 0.0, field.class != FieldClass::Content, "{line:?}");
            // Beside type, field, class and bytes: purposes, unless it is content, and the time, unless it is the subject's.
            let others = usize::from(field.class != FieldClass::Content) + usize::from(contract.subject != Some(place));
            assert_eq!(line.len(), 4 + others, "{line:?}");
        }
    }
}
