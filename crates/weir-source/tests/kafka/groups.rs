//! Members that come, go, and come back.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use crate::support::{Member, Tables, brokers, create, membership, produce, unique, with_options};

/// Goal: a restart takes its offsets from the tables. Method: drop what is not committed, as a crash does.
#[test]
fn restart_reads_on_where_the_tables_end() {
    let topic = unique("restart");
    create(&topic, 3, &[]);
    produce(&topic, 3, 500);
    let (tables, membership) = (Tables::default(), membership(&topic, &topic));
    let mut first = Member::join(&brokers(), &membership, &tables);
    first.until("some records", |member| member.held() >= 300);
    first.commit_all();
    produce(&topic, 3, 500);
    first.until("more records, which are lost with the process", |member| member.held() >= 300);
    drop(first);
    let mut second = Member::join(&brokers(), &membership, &tables);
    second.until("the rest", |member| tables.rows() + member.held() >= 3000);
    second.commit_all();
    tables.assert_whole(3, 1000);
}

/// Goal: nothing is lost or doubled at a hand-over, in either protocol. Method: a second member comes, reads and goes under
/// load, and the stand-in for the tables refuses a span that does not continue.
fn hand_over(options: &[(&str, &str)]) {
    let topic = unique("hand-over");
    create(&topic, 4, &[]);
    let brokers = with_options(options);
    let (tables, membership) = (Tables::default(), membership(&topic, &topic));
    // Of each partition, once nothing more comes.
    let (sent, is_handed_over) = (AtomicUsize::new(usize::MAX), AtomicBool::new(false));
    let has_all = || sent.load(Relaxed).checked_mul(4) == Some(tables.rows());
    thread::scope(|scope| {
        let stays = scope.spawn(|| {
            let mut member = Member::join(&brokers, &membership, &tables);
            commit_until(&mut member, "all records", |_| has_all());
            member.changes
        });
        scope.spawn(|| {
            // The first member has all partitions by then, so that some have to be handed over.
            let deadline = Instant::now() + Duration::from_mins(1);
            while tables.rows() == 0 && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(20));
            }
            let mut member = Member::join(&brokers, &membership, &tables);
            let mut records = 0;
            commit_until(&mut member, "records of a partition that was handed over", |member| {
                records += member.held();
                records > 100 || has_all()
            });
            is_handed_over.store(true, Relaxed);
        });
        // How long a hand-over takes is up to the broker and the machine.
        let (deadline, mut count) = (Instant::now() + Duration::from_mins(1), 0);
        while count < 4000 || !is_handed_over.load(Relaxed) && Instant::now() < deadline {
            produce(&topic, 4, 400);
            count += 400;
            thread::sleep(Duration::from_millis(200));
        }
        sent.store(count, Relaxed);
        assert!(stays.join().expect("the member ends well").contains(&"revoked"), "nothing was handed over");
    });
    tables.assert_whole(4, i64::try_from(sent.into_inner()).expect("small"));
}

fn commit_until(member: &mut Member<'_>, what: &str, mut done: impl FnMut(&Member<'_>) -> bool) {
    let mut committed = Instant::now();
    member.until(what, |member| {
        if done(member) {
            return true;
        }
        if committed.elapsed() > Duration::from_millis(300) {
            member.commit_all();
            committed = Instant::now();
        }
        false
    });
    member.commit_all();
}

#[test]
fn hand_over_one_by_one_loses_and_doubles_nothing() {
    hand_over(&[]);
}

#[test]
fn hand_over_of_everything_at_once_loses_and_doubles_nothing() {
    hand_over(&[("partition.assignment.strategy", "range")]);
}

#[test]
fn hand_over_in_the_new_protocol_loses_and_doubles_nothing() {
    hand_over(&[("group.protocol", "consumer")]);
}

/// Goal: a member with a name gets its partitions back, and the others hear nothing of its restart.
#[test]
fn named_member_comes_back_to_its_partitions_unnoticed() {
    let topic = unique("static");
    create(&topic, 4, &[]);
    produce(&topic, 4, 10);
    let tables = Tables::default();
    let named = |name: &str| {
        let mut membership = membership(&topic, &topic);
        membership.instance = Some(name.to_owned());
        membership
    };
    let mut stays = Member::join(&brokers(), &named("stays"), &tables);
    stays.until("all partitions", |member| member.consumer.positions().len() == 4);
    let mut leaves = Member::join(&brokers(), &named("leaves"), &tables);
    let deadline = Instant::now() + Duration::from_secs(30);
    while leaves.consumer.positions().len() != 2 {
        assert!(Instant::now() < deadline, "the second member got no partition");
        stays.turn();
        leaves.turn();
    }
    leaves.commit_all();
    let partitions = |member: &Member<'_>| {
        let mut found: Vec<_> = member.consumer.positions().iter().map(|it| it.partition.partition).collect();
        found.sort_unstable();
        found
    };
    let before = partitions(&leaves);
    stays.changes.clear();
    drop(leaves);
    let mut back = Member::join(&brokers(), &named("leaves"), &tables);
    let deadline = Instant::now() + Duration::from_secs(30);
    while back.consumer.positions().len() != 2 {
        assert!(Instant::now() < deadline, "the member did not get its partitions back");
        stays.turn();
        back.turn();
    }
    assert_eq!(partitions(&back), before);
    assert_eq!(stays.changes, [""; 0], "the other member was disturbed");
}
