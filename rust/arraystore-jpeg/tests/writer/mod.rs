//! Writes a JPEG of given coefficients: any that its codes can hold, be they of pixels or not.

/// Of a block, in zigzag order.
pub type Coefficients = [i16; 64];

/// What is written.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Sampling factors of luma, or 0 for gray.
    pub factors: u8,
    /// MCUs in a row.
    pub columns: usize,
    /// MCUs between restart markers, 0 for none.
    pub restarts: u16,
    /// Of all components.
    pub quantisation: [u8; 64],
    /// Those of an MCU one behind the other.
    pub blocks: Vec<Coefficients>,
}

/// Bits, with bytes stuffed.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u64, count: u32) {
        self.waiting = self.waiting << count | value & ((1 << count) - 1);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = u8::try_from(self.waiting >> self.count & 0xff).unwrap();
            self.bytes.push(byte);
            if byte == 0xff {
                self.bytes.push(0);
            }
        }
    }

    /// Ends with ones, as encoders do.
    fn end(&mut self) {
        self.put(u64::MAX, (8 - self.count) % 8);
    }

    /// A DC symbol: 5 bits for sizes 0 to 15.
    fn put_dc(&mut self, value: i16) {
        let size = size(value);
        self.put(u64::from(size), 5);
        self.put_value(value, size);
    }

    /// An AC symbol: 8 bits for the first 254, 9 for two more.
    fn put_ac(&mut self, run: u32, value: i16) {
        let size = size(value);
        let symbol = u64::from(run << 4 | size);
        if symbol < 254 {
            self.put(symbol, 8);
        } else {
            self.put(254 * 2 + (symbol - 254), 9);
        }
        self.put_value(value, size);
    }

    fn put_value(&mut self, value: i16, size: u32) {
        let value = i64::from(value) + if value < 0 { (1 << size) - 1 } else { 0 };
        self.put(value.cast_unsigned(), size);
    }
}

fn size(value: i16) -> u32 {
    16 - value.unsigned_abs().leading_zeros()
}

impl Writer {
    /// The image.
    pub fn jpeg(&self) -> Vec<u8> {
        let factors = if self.factors == 0 { 0x11 } else { self.factors };
        let (across, down) = (usize::from(factors >> 4), usize::from(factors & 15));
        let (count, per_mcu) = if self.factors == 0 {
            (1, 1)
        } else {
            (3, across * down + 2)
        };
        let rows = self.blocks.len() / per_mcu / self.columns;
        let mut jpeg = vec![0xff, 0xd8];
        segment(&mut jpeg, 0xdb, &[&[0], &self.quantisation[..]].concat());
        let sizes = [rows * 8 * down, self.columns * 8 * across].map(|size| u16::try_from(size).unwrap().to_be_bytes());
        let mut frame = vec![8, sizes[0][0], sizes[0][1], sizes[1][0], sizes[1][1], count];
        for number in 1..=count {
            frame.extend([number, if number == 1 { factors } else { 0x11 }, 0]);
        }
        segment(&mut jpeg, 0xc0, &frame);
        let mut dc_counts = [0; 16];
        dc_counts[4] = 16;
        let dc: Vec<u8> = (0..16).collect();
        segment(&mut jpeg, 0xc4, &[&[0], &dc_counts[..], &dc].concat());
        let mut ac_counts = [0; 16];
        (ac_counts[7], ac_counts[8]) = (254, 2);
        let ac: Vec<u8> = (0..=255).collect();
        segment(&mut jpeg, 0xc4, &[&[0x10], &ac_counts[..], &ac].concat());
        segment(&mut jpeg, 0xdd, &self.restarts.to_be_bytes());
        let mut scan = vec![count];
        for number in 1..=count {
            scan.extend([number, 0]);
        }
        scan.extend([0, 63, 0]);
        segment(&mut jpeg, 0xda, &scan);
        jpeg.extend(self.scan(per_mcu));
        jpeg.extend([0xff, 0xd9]);
        jpeg
    }

    fn scan(&self, per_mcu: usize) -> Vec<u8> {
        let mut bits = Bits::default();
        let mut before = [0_i16; 3];
        for (mcu, blocks) in self.blocks.chunks_exact(per_mcu).enumerate() {
            let restarts = usize::from(self.restarts);
            if restarts > 0 && mcu > 0 && mcu % restarts == 0 {
                bits.end();
                let number = u8::try_from((mcu / restarts - 1) % 8).unwrap();
                bits.bytes.extend([0xff, 0xd0 + number]);
                before = [0; 3];
            }
            for (number, block) in blocks.iter().enumerate() {
                // The last two are those of colour.
                let component = if per_mcu == 1 {
                    0
                } else {
                    (number + 3).saturating_sub(per_mcu)
                };
                bits.put_dc(block[0].wrapping_sub(before[component]));
                before[component] = block[0];
                let mut run = 0;
                for &value in &block[1..] {
                    if value == 0 {
                        run += 1;
                        continue;
                    }
                    while run > 15 {
                        bits.put_ac(15, 0);
                        run -= 16;
                    }
                    bits.put_ac(run, value);
                    run = 0;
                }
                if run > 0 {
                    bits.put_ac(0, 0);
                }
            }
        }
        bits.end();
        bits.bytes
    }
}

/// Appends a segment.
fn segment(jpeg: &mut Vec<u8>, marker: u8, body: &[u8]) {
    jpeg.extend([0xff, marker]);
    jpeg.extend(u16::try_from(body.len() + 2).unwrap().to_be_bytes());
    jpeg.extend(body);
}
