//! A decoder that has seen some images decodes the others without asking for memory, whether they share their tables or not.

#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

mod reference;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use arraystore_jpeg::{Area, Decoder, Frame, Indexer};
use reference::{Encoding, Numbers, encode, picture, seek_table};

/// The allocator of the system, which counts what the thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // At the end of a thread there is nothing to count in.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: all is left to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, nbytes: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(memory, layout, nbytes) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WIDTH: usize = 200;
const HEIGHT: usize = 150;

/// Images with tables that they share, or, if `optimise`, of their own; with their seek tables.
fn images(optimise: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut indexer = Indexer::default();
    let image = |seed: u64| {
        let pixels = picture(WIDTH, HEIGHT, 20 + usize::try_from(seed).unwrap(), &mut Numbers(seed));
        let encoding = Encoding {
            optimise,
            ..Encoding::default()
        };
        encode(&pixels, WIDTH, HEIGHT, encoding)
    };
    let with_table = |jpeg: Vec<u8>| {
        let table = seek_table(&mut indexer, &jpeg, 1).unwrap();
        (jpeg, table)
    };
    (1..20).map(image).map(with_table).collect()
}

/// Decodes a box of each image, with and without its seek table; returns how often memory was asked for.
fn decode_all(decoder: &mut Decoder, images: &[(Vec<u8>, Vec<u8>)], out: &mut [u8]) -> u64 {
    let before = ASKED.get();
    for (number, (jpeg, table)) in images.iter().enumerate() {
        let frame = Frame::parse(jpeg).unwrap();
        let area = Area {
            top: number % 3 * 20,
            left: number % 5 * 11,
            height: 80,
            width: 120,
        };
        let out = &mut out[..area.height * area.width * 3];
        decoder.decode(&frame, Some(table), area, out).unwrap();
        decoder.decode(&frame, None, area, out).unwrap();
    }
    ASKED.get() - before
}

#[test]
fn a_batch_asks_for_no_memory_after_the_first() {
    for optimise in [false, true] {
        let images = images(optimise);
        let mut decoder = Decoder::default();
        let mut out = vec![0; WIDTH * HEIGHT * 3];
        assert!(decode_all(&mut decoder, &images, &mut out) > 0);
        let again = decode_all(&mut decoder, &images, &mut out);
        assert_eq!(again, 0, "tables of their own: {optimise}");
    }
}
