//! Images of any bytes: what is decoded is what libjpeg-turbo decodes without complaint.

#![no_main]

#[path = "../compare.rs"]
mod compare;

libfuzzer_sys::fuzz_target!(|jpeg: &[u8]| compare::compare(jpeg));
