//! A producer that sends what no client library would: a header whose name is not UTF-8, and a batch with another checksum than its own.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

/// Writes one record with one header to partition 0, over the wire.
pub(crate) fn produce(address: &str, topic: &str, value: &[u8], header: (&[u8], &[u8])) {
    send(address, topic, &batch(&record(value, header)));
}

/// Writes one record to partition 0 that lost a bit on its way to the disk.
pub(crate) fn produce_damaged(address: &str, topic: &str) {
    let mut batch = batch(&record(b"{}", (b"ce_id", b"1")));
    *batch.last_mut().expect("a batch has bytes") ^= 1;
    send(address, topic, &batch);
}

fn send(address: &str, topic: &str, batch: &[u8]) {
    let mut body = Vec::new();
    body.extend(0_i16.to_be_bytes()); // Produce
    body.extend(3_i16.to_be_bytes()); // version
    body.extend(7_i32.to_be_bytes()); // correlation
    body.extend((-1_i16).to_be_bytes()); // no client id
    body.extend((-1_i16).to_be_bytes()); // no transaction
    body.extend(1_i16.to_be_bytes()); // acknowledged by the leader
    body.extend(10_000_i32.to_be_bytes()); // milliseconds to do it in
    body.extend(1_i32.to_be_bytes()); // topics
    body.extend(i16::try_from(topic.len()).expect("a short name").to_be_bytes());
    body.extend(topic.as_bytes());
    body.extend(1_i32.to_be_bytes()); // partitions
    body.extend(0_i32.to_be_bytes());
    body.extend(length(batch).to_be_bytes());
    body.extend(batch);

    let mut broker = TcpStream::connect(address).expect("the broker listens");
    broker.write_all(&length(&body).to_be_bytes()).expect("the broker reads");
    broker.write_all(&body).expect("the broker reads");
    let mut size = [0; 4];
    broker.read_exact(&mut size).expect("the broker answers");
}

fn record(value: &[u8], (name, content): (&[u8], &[u8])) -> Vec<u8> {
    let mut record = vec![0]; // attributes
    varint(&mut record, 0); // time
    varint(&mut record, 0); // offset
    varint(&mut record, -1); // no key
    sized(&mut record, value);
    varint(&mut record, 1); // headers
    sized(&mut record, name);
    sized(&mut record, content);
    let mut framed = Vec::new();
    sized(&mut framed, &record);
    framed
}

fn batch(records: &[u8]) -> Vec<u8> {
    let mut checked = Vec::new();
    checked.extend(0_i16.to_be_bytes()); // attributes
    checked.extend(0_i32.to_be_bytes()); // last offset
    checked.extend([0_i64.to_be_bytes(), 0_i64.to_be_bytes()].concat()); // times
    checked.extend((-1_i64).to_be_bytes()); // no producer id
    checked.extend((-1_i16).to_be_bytes());
    checked.extend((-1_i32).to_be_bytes());
    checked.extend(1_i32.to_be_bytes()); // records
    checked.extend(records);
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes()); // first offset
    batch.extend((length(&checked) + 9).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes()); // leader's epoch
    batch.push(2); // format
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).expect("a short request")
}

fn sized(into: &mut Vec<u8>, bytes: &[u8]) {
    varint(into, length(bytes).into());
    into.extend(bytes);
}

fn varint(into: &mut Vec<u8>, number: i64) {
    let mut zigzag = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while zigzag >= 0x80 {
        into.push(u8::try_from(zigzag & 0x7f).expect("seven bits") | 0x80);
        zigzag >>= 7;
    }
    into.push(u8::try_from(zigzag).expect("seven bits"));
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
