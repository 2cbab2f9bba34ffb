//! VRL, the language of Vector, in process: parse, ask who agreed, project. `peer-vrl FOLDER EVENTS`.
//!
//! Prints the processor time of a pass, and what came out of it. There is no source, no sink and no topology.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use vrl::compiler::state::RuntimeState;
use vrl::compiler::{Context, Program, TargetValue, TimeZone};
use vrl::value::{KeyString, Secrets, Value};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (folder, events) = (arguments.next().unwrap(), arguments.next().unwrap());
    let folder = Path::new(&folder);
    let parse = compile(". = object!(parse_json!(string!(.message)))\n");
    let text = std::fs::read_to_string(folder.join("project.vrl")).unwrap();
    let project = compile(&text);
    let known: HashSet<&str> =
        text.lines().filter_map(|line| line.split_once(".type == \"")).map(|(_, rest)| rest.split('"').next().unwrap()).collect();
    let consent = std::fs::read_to_string(folder.join("consent.csv")).unwrap();
    let consent: HashMap<(&str, &str), i64> = consent
        .lines()
        .map(|line| {
            let mut parts = line.split(',');
            ((parts.next().unwrap(), parts.next().unwrap()), parts.next().unwrap().parse().unwrap())
        })
        .collect();
    let events = std::fs::read(events).unwrap();
    let (mut nanos, mut rows, mut cells) = (0, [0_u64; 3], [0_u64; 3]);
    let lines: Vec<&[u8]> = events.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    for chunk in lines.chunks(2000) {
        let start = busy_nanos();
        let done: Vec<TargetValue> = chunk.iter().filter_map(|line| filter(line, &parse, &project, &known, &consent)).collect();
        nanos += busy_nanos() - start;
        for (place, letter) in ["T", "R", "P"].into_iter().enumerate() {
            for row in done.iter().filter_map(|target| target.value.as_object()?.get(letter)?.as_object()) {
                rows[place] += 1;
                cells[place] += row.values().filter(|value| !value.is_null()).count() as u64;
            }
        }
    }
    let [t, r, p] = rows;
    let [ct, cr, cp] = cells;
    println!("nanos {nanos} rows {t} {r} {p} cells {ct} {cr} {cp}");
}

fn filter(
    line: &[u8],
    parse: &Program,
    project: &Program,
    known: &HashSet<&str>,
    consent: &HashMap<(&str, &str), i64>,
) -> Option<TargetValue> {
    let message = Value::Bytes(bytes::Bytes::copy_from_slice(line));
    let mut target = TargetValue {
        value: Value::Object(BTreeMap::from([(KeyString::from("message"), message)])),
        metadata: Value::Object(BTreeMap::new()),
        secrets: Secrets::default(),
    };
    run(parse, &mut target)?;
    let mask = {
        let event = target.value.as_object()?;
        let text = |value: Option<&Value>| Some(std::str::from_utf8(value?.as_bytes()?).ok()?.to_owned());
        let user = event.get("data").and_then(|data| data.as_object()?.get("user")?.as_object()?.get("id"));
        if !known.contains(text(event.get("type"))?.as_str()) {
            return None;
        }
        let (tenant, user) = (text(event.get("tenant"))?, text(user)?);
        consent.get(&(tenant.as_str(), user.as_str())).copied().filter(|mask| *mask > 0)?
    };
    if let Value::Object(metadata) = &mut target.metadata {
        metadata.insert("mask".into(), Value::Integer(mask));
    }
    run(project, &mut target)?;
    Some(target)
}

fn run(program: &Program, target: &mut TargetValue) -> Option<()> {
    let (mut state, zone) = (RuntimeState::default(), TimeZone::default());
    program.resolve(&mut Context::new(target, &mut state, &zone)).ok().map(drop)
}

fn compile(text: &str) -> Program {
    match vrl::compiler::compile(text, &vrl::stdlib::all()) {
        Ok(result) => result.program,
        Err(errors) => panic!("{}", vrl::diagnostic::Formatter::new(text, errors)),
    }
}

fn busy_nanos() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
