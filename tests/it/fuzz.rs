//! Parsers under hostile input. Every target is a plain function of bytes that panics when something is wrong; here each
//! one is given its corpus, and some thousand inputs bent from it by a seeded generator. `cargo bench --bench fuzz` is the
//! long form of the same (fuzz/README.md).

mod mutator;
mod targets;

use mutator::{Mutator, corpus};

/// Inputs bent from the corpus, a target.
const BENT: usize = 2_000;
/// Where the bending begins, if `BULWARD_FUZZ_SEED` does not say so.
const SEED: u64 = 1;

/// What is tried; tells itself when it made a target panic, as an input to add to the corpus.
struct Tried<'a> {
    target: &'a str,
    seed: u64,
    input: &'a [u8],
}

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = String::from_utf8_lossy(self.input);
            println!(
                "{}: seed {}, {} bytes: {text:?}",
                self.target,
                self.seed,
                self.input.len()
            );
        }
    }
}

/// One test a target, so that a failure names it, and they share the cores.
macro_rules! replays {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let mut replayed = vec![$(stringify!($name)),*];
            replayed.sort_unstable();
            let mut all: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
            all.sort_unstable();
            assert_eq!(replayed, all);
        }
    };
}

replays!(
    applies,
    bodies,
    credentials,
    envelopes,
    expressions,
    fields,
    impersonations,
    introductions,
    messages,
    negotiations,
    objects,
    patches,
    policies,
    requests,
    reviews,
    selectors,
    tokens
);

fn replay(name: &str) {
    let (_, target) = targets::ALL.iter().find(|(own, _)| *own == name).expect("a target");
    let corpus = corpus(name);
    assert!(corpus.len() >= 5, "{name}: a corpus of {} inputs", corpus.len());
    let seed = std::env::var("BULWARD_FUZZ_SEED").map_or(SEED, |text| text.parse().expect("a number"));
    let tried = |input: &[u8]| {
        let _tells = Tried {
            target: name,
            seed,
            input,
        };
        target(input)
    };
    let mut understood = corpus.iter().filter(|input| tried(input)).count();
    let all = corpus.len() + BENT;
    let mut mutator = Mutator::new(seed, corpus);
    for _ in 0..BENT {
        let input = mutator.bend();
        understood += usize::from(tried(&input));
    }
    // Else nothing was tried but how refusals are worded.
    assert!(
        understood * 20 > all,
        "{name}: only {understood} of {all} inputs were understood"
    );
}
