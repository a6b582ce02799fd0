//! Our decoder beside libjpeg-turbo, one for all inputs of a target, so that what one leaves would show in the next.

#[path = "../arraystore-jpeg/tests/fuzzer/mod.rs"]
mod fuzzer;
#[path = "../arraystore-jpeg/tests/mutation/mod.rs"]
mod mutation;
#[path = "../arraystore-jpeg/tests/reference/mod.rs"]
mod reference;

use std::cell::RefCell;

use fuzzer::Fuzzer;
use reference::Numbers;

thread_local! {
    static FUZZER: RefCell<Fuzzer> = RefCell::new(Fuzzer::new(Numbers(1)));
}

/// Panics unless what is decoded is what libjpeg-turbo decodes without complaint, and the next image is sound.
pub fn compare(jpeg: &[u8]) {
    FUZZER.with_borrow_mut(|fuzzer| {
        fuzzer.damaged(jpeg, &[]);
        fuzzer.undamaged();
    });
}
