//! The contracts of the bench: eight event types of an app and its services, as many as wanted beside them.
//!
//! A line of a table is a field: path, type, purposes by their first letters, and what coarsens it. The tables are turned
//! into contracts as people write them, so that nothing of weir is passed by.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use weir_policy::{Faults, Policy, Source};

/// Loads the policy of the bench: `types` event types, of which the first eight are the ones below.
///
/// # Errors
/// When a table has a fault.
pub fn policy(types: usize) -> Result<Policy> {
    let sources: Vec<_> = (0..types).map(source).collect::<Result<_>>()?;
    let parsed = Policy::parse(&sources, None, Faults::default());
    // Measures are kept as they are for two purposes now and then, which is worth a warning and no more.
    parsed.map(|(policy, _warnings)| policy).map_err(|report| anyhow!("{report}"))
}

/// Loads the policy whose only event type is the `place`-th of [`policy`].
///
/// # Errors
/// When a table has a fault.
pub fn policy_of_one(place: usize) -> Result<Policy> {
    let parsed = Policy::parse(&[source(place)?], None, Faults::default());
    parsed.map(|(policy, _warnings)| policy).map_err(|report| anyhow!("{report}"))
}

/// Writes the contract of the `place`-th event type; past the last one the types come again under other names.
fn source(place: usize) -> Result<Arc<Source>> {
    let (name, fields) = TYPES[place % TYPES.len()];
    let event_type = match place / TYPES.len() {
        0 => format!("com.example.{name}"),
        again => format!("com.example.{name}_{again}"),
    };
    let mut text = format!("[event]\ntype = \"{event_type}\"\n{HEAD}");
    for line in COMMON.lines().chain(fields.lines()).map(str::trim).filter(|line| !line.is_empty()) {
        write_field(line, &mut text)?;
    }
    Ok(Source::new(format!("{event_type}.toml"), text))
}

fn write_field(line: &str, out: &mut String) -> Result<()> {
    let mut words = line.split_whitespace();
    let (Some(path), Some(kind)) = (words.next(), words.next()) else { bail!("a field has a path and a type: {line}") };
    write!(out, "\n[fields.\"{path}\"]\n")?;
    let (name, detail) = kind.split_once(':').unwrap_or((kind, ""));
    match name {
        "content" => return Ok(writeln!(out, "class = \"content\"")?),
        "id" => writeln!(out, "class = \"identifier\"\nkind = \"{detail}\"")?,
        "words" | "route" => {
            let listed: Vec<_> = detail.split('|').map(|word| format!("\"{}\"", word.replace('_', " "))).collect();
            let key = if name == "words" { "values" } else { "type = \"route\"\nroutes" };
            writeln!(out, "class = \"word\"\n{key} = [{}]", listed.join(", "))?;
        }
        "country" | "currency" | "http_status" | "locale" | "semver" | "user_agent" => {
            writeln!(out, "class = \"word\"\ntype = \"{name}\"")?;
        }
        "age" | "ip" => writeln!(out, "class = \"quasi-identifier\"\ntype = \"{name}\"")?,
        "timestamp" => writeln!(out, "class = \"measure\"\ntype = \"timestamp\"\nprecision = \"minute\"")?,
        _ => {
            writeln!(out, "class = \"measure\"\ntype = \"{name}\"")?;
            if let Some((low, high)) = detail.split_once("..") {
                writeln!(out, "range = [{low}, {high}]")?;
            }
        }
    }
    let category = match name {
        "age" => "user.demographic.age_range",
        "ip" => "user.device.ip_address",
        _ => "system.operations",
    };
    writeln!(out, "category = \"{category}\"")?;
    let Some(letters) = words.next() else { bail!("a field that is kept has purposes: {line}") };
    let purposes = [('T', "troubleshooting"), ('R', "reliability"), ('P', "personalization")];
    let named: Vec<_> = purposes
        .iter()
        .filter(|(letter, _)| letters.contains(*letter))
        .map(|(_, name)| format!("\"{name}\""))
        .collect();
    writeln!(out, "purposes = [{}]", named.join(", "))?;
    if let Some(precision) = words.next() {
        writeln!(out, "precision = {{ reliability = {precision} }}")?;
    }
    Ok(())
}

const HEAD: &str = r#"version = 1
description = "Something happened in the app."
benefit = "Lets us find what fails before people report it."
owner = "bench"
review = "https://reviews.example/1"
expires = 2099-12-31
subject = "user.id"
"#;

/// What every event has: the person, the device, the network, the app. In words `_` stands for a space.
const COMMON: &str = "
    user.id            id:user                                                TRP
    user.plan          words:free|pro|team|enterprise                         TP
    user.country       country                                                TRP
    user.age           age                                                    P
    user.email         content
    user.name          content
    device.id          id:device                                              TR
    device.model       words:iPhone14,3|iPhone15,2|Pixel_8|SM-S918B|Pixel_7a|iPad13,8|SM-A546E|ThinkPad_X1|MacBookPro18,3|XQ-DQ54 TRP
    device.os          words:iOS|Android|macOS|Windows                        TRP
    device.os_version  semver                                                 TRP
    device.locale      locale                                                 TP
    device.screen_w    uint16:320..7680                                       TR
    device.battery     float64:0..1                                           TR 0.05
    device.mem_free_mb uint32:0..65536                                        TR 64
    net.ip             ip                                                     TR
    net.type           words:wifi|5g|lte|ethernet                             TR
    net.carrier        words:T-Mobile|Verizon|Vodafone|Orange|NTT_Docomo|Claro|Jio|O2_·_DE TR
    net.rtt_ms         float64:0..60000                                       TR 5
    app.version        semver                                                 TRP
    app.build          uint32:1..100000                                       TR
    app.session_id     id:session                                             TP
    app.foreground     bool                                                   TR
";

/// What events of one type have beside it.
const TYPES: [(&str, &str); 8] = [
    (
        "message_sent",
        "
        message.thread_id     id:thread         T
        message.body          content
        message.body_len      uint32:0..1000000 TRP 64
        message.encrypted     bool              TR
        message.send_ms       float64:0..60000  TR 10
        message.retries       uint8:0..20       TR
        message.recipients[]  content
        message.attachments[].name content
        ",
    ),
    (
        "page_viewed",
        "
        page.url       content
        page.route     route:/p/{id}/view|/p/{id}/edit|/p/{id}/share|/p/{id}/list|/home TRP
        page.referrer  content
        page.title     content
        page.load_ms   float64:0..60000  TR 10
        page.ttfb_ms   float64:0..60000  TR 10
        page.fcp_ms    float64:0..60000  TR 10
        page.status    http_status       TR
        page.bytes     uint32:0..900000  TR
        page.agent     user_agent        T
        ",
    ),
    (
        "search_made",
        "
        search.query         content
        search.results       uint16:0..5000   TP
        search.took_ms       float64:0..60000 TR 10
        search.page          uint8:1..50      P
        search.section       words:books|games|garden|kitchen|music|office|sports|toys|travel|video P
        search.clicked       bool             P
        search.filters.price content
        search.filters.color content
        ",
    ),
    (
        "call_ended",
        "
        call.call_id     id:call            T
        call.peer_id     id:user            T
        call.duration_s  float64:0..86400   TR 10
        call.started_at  timestamp          T
        call.codec       words:opus|aac|av1|h264 TR
        call.packet_loss float64:0..1       TR 0.01
        call.jitter_ms   float64:0..1000    TR 5
        call.mos         float64:1..5       TR 0.1
        call.hangup      words:local|remote|timeout|error TR
        call.video       bool               TRP
        call.transcript  content
        ",
    ),
    (
        "app_crashed",
        "
        crash.signal      words:SIGSEGV|SIGABRT|SIGBUS|OOM TR
        crash.reason      content
        crash.stack[]     content
        crash.module      words:core|media|net|render|sync|ui TR
        crash.uptime_s    float64:0..864000 TR 60
        crash.free_mem_mb uint32:0..65536   TR 64
        crash.fatal       bool              TR
        crash.steps[]     content
        ",
    ),
    (
        "file_uploaded",
        "
        file.name      content
        file.path      content
        file.mime      words:application/pdf|image/png|video/mp4|text/csv TRP
        file.bytes     int64:0..1000000000000 TR 4096
        file.digest    content
        file.upload_ms float64:0..600000 TR 10
        file.chunks    uint16:1..10000   TR
        file.retries   uint8:0..20       TR
        file.region    words:us-east-1|eu-west-1|ap-south-1 TR
        ",
    ),
    (
        "order_placed",
        "
        order.order_id       id:order          T
        order.group          words:books|games|garden|kitchen|music|office|sports|toys|travel|video P
        order.quantity       uint8:1..100      P
        order.price          decimal(10,2):0..100000 P
        order.tax            decimal(10,2):0..100000 T
        order.currency       currency          TP
        order.coupon         words:none|spring|summer|autumn|winter P
        order.card           content
        order.address.street content
        order.address.city   content
        ",
    ),
    (
        "setting_changed",
        "
        setting.key      words:theme|lang|notify.push|notify.mail|privacy.share|beta TRP
        setting.old      content
        setting.new      content
        setting.origin   words:user|admin|sync TR
        setting.apply_ms float64:0..10000 TR 1
        ",
    ),
];
