//! Inputs bent from others. It does not know what a target does with them: what it has instead is a corpus in which everything
//! occurs that a target understands, whose words it puts where they do not belong.

use std::path::Path;

/// Longest input, but for one in many.
const LONGEST: usize = 8_192;
/// Longest of all: about what a line of a request may have, where what takes the square of its time shows.
const ENDLESS: usize = 64 << 10;
/// One in so many is that long.
const SELDOM: usize = 512;
/// What parsers stumble over.
const NASTY: [&[u8]; 24] = [
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    "\u{202e}".as_bytes(),
    "\u{130}".as_bytes(),
    b"%",
    b"%00",
    b"%2F",
    b"%2e%2e",
    b"%C3%28",
    b"+",
    b"..",
    b"//",
    b"-1",
    b"9223372036854775808",
    b"1e400",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"[[[[[[[[",
    b"{\"a\":",
    b"\r\n",
];

/// Bends inputs; the same seed gives the same ones.
pub(crate) struct Mutator {
    dice: u64,
    corpus: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

/// The stored inputs of a target.
pub(crate) fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/fuzz/corpus")
        .join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a file")).collect()
}

impl Mutator {
    pub(crate) fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        let word = |byte: &u8| byte.is_ascii_alphanumeric();
        let mut words: Vec<Vec<u8>> = NASTY.map(<[u8]>::to_vec).into();
        for input in &corpus {
            words.extend(input.chunk_by(|a, b| word(a) == word(b)).map(<[u8]>::to_vec));
        }
        words.sort();
        words.dedup();
        Self {
            dice: seed,
            corpus,
            words,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % (bound.max(1) as u64)).expect("below a size")
    }

    /// A place, and a later one not far from it.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        let most = (length - start).min(24);
        (start, start + self.below(most + 1))
    }

    /// The next input.
    pub(crate) fn bend(&mut self) -> Vec<u8> {
        let at = self.below(self.corpus.len());
        let mut input = self.corpus[at].clone();
        // Half of them differ in one place: what is far from the corpus is seldom understood.
        let steps = if self.below(2) == 0 { 1 } else { 1 + self.below(5) };
        for _ in 0..steps {
            match self.below(2) {
                0 => self.step(&mut input),
                _ => self.exchange(&mut input),
            }
        }
        input.truncate(LONGEST);
        if self.below(SELDOM) == 0 {
            self.stretch(&mut input);
        }
        input
    }

    /// Puts another word of the same sort in the place of one, or a line where there was another.
    fn exchange(&mut self, input: &mut Vec<u8>) {
        let lines = self.below(4) == 0;
        let sort = |byte: &u8| {
            if lines {
                *byte == b'\n'
            } else {
                byte.is_ascii_alphanumeric()
            }
        };
        let pieces: Vec<&[u8]> = input.chunk_by(|a, b| sort(a) == sort(b)).collect();
        if pieces.is_empty() {
            return;
        }
        let at = self.below(pieces.len());
        let sort = pieces[at].first().is_some_and(sort);
        let other = if lines {
            pieces[self.below(pieces.len())].to_vec()
        } else {
            let same = |word: &&Vec<u8>| word.first().is_some_and(|byte| byte.is_ascii_alphanumeric() == sort);
            let same: Vec<&Vec<u8>> = self.words.iter().filter(same).collect();
            let many = same.len();
            let chosen: Vec<Vec<u8>> = same.into_iter().cloned().collect();
            chosen[self.below(many)].clone()
        };
        let mut pieces: Vec<Vec<u8>> = pieces.into_iter().map(<[u8]>::to_vec).collect();
        pieces[at] = other;
        *input = pieces.concat();
    }

    /// Repeats a piece until there is no more room, and puts another piece between its first and second half.
    fn stretch(&mut self, input: &mut Vec<u8>) {
        let mut piece = || {
            let (start, end) = self.range(input.len());
            input[start..end].to_vec()
        };
        let (first, second) = (piece(), piece());
        let room = ENDLESS.saturating_sub(input.len()) / 2;
        let many = |piece: &[u8]| piece.repeat(room / piece.len().max(1));
        let at = self.below(input.len() + 1);
        input.splice(at..at, [many(&first), many(&second)].concat());
    }

    fn step(&mut self, input: &mut Vec<u8>) {
        let (start, end) = self.range(input.len());
        match self.below(9) {
            0 if !input.is_empty() => {
                let at = self.below(input.len());
                input[at] ^= 1 << self.below(8);
            }
            1 => drop(input.drain(start..end)),
            2 => {
                let copy = input[start..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            3 => {
                // Deep or long.
                let copy = input[start..end].repeat(1 + self.below(100));
                input.splice(start..start, copy);
            }
            4 => {
                let other = self.below(self.corpus.len());
                let other = self.corpus[other].clone();
                let (from, _) = self.range(other.len());
                input.splice(start.., other[from..].iter().copied());
            }
            5 => {
                let bytes: Vec<u8> = (0..=self.below(4)).map(|_| self.below(256) as u8).collect();
                input.splice(start..end, bytes);
            }
            6 => {
                let nasty = NASTY[self.below(NASTY.len())];
                input.splice(start..start, nasty.iter().copied());
            }
            _ => {
                let word = self.below(self.words.len());
                let word = self.words[word].clone();
                input.splice(start..end, word);
            }
        }
    }
}
