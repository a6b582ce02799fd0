//! Images of any bytes: what is decoded is what libjpeg-turbo decodes without complaint.

#![no_main]

#[path = "../../arraystore-jpeg/tests/fuzzer/mod.rs"]
mod fuzzer;
#[path = "../../arraystore-jpeg/tests/mutation/mod.rs"]
mod mutation;
#[path = "../../arraystore-jpeg/tests/reference/mod.rs"]
mod reference;

use std::cell::RefCell;

use fuzzer::Fuzzer;
use reference::Numbers;

thread_local! {
    /// One for all inputs, so that what one leaves would show in the next.
    static FUZZER: RefCell<Fuzzer> = RefCell::new(Fuzzer::new(Numbers(1)));
}

libfuzzer_sys::fuzz_target!(|jpeg: &[u8]| {
    FUZZER.with_borrow_mut(|fuzzer| {
        fuzzer.damaged(jpeg, &[]);
        fuzzer.undamaged();
    });
});
