//! Parsers under hostile input. Every target is a plain function of bytes that panics when something is wrong; here each
//! one is given its corpus, and some thousand inputs bent from it by a seeded generator. `cargo bench --bench fuzz` is the
//! long form of the same (fuzz/README.md).

mod mutator;
mod targets;

use mutator::{Mutator, corpus};

/// Inputs bent from the corpus, a target.
const BENT: usize = 4_000;

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
    let mut understood = corpus.iter().filter(|input| target(input)).count();
    let all = corpus.len() + BENT;
    let mut mutator = Mutator::new(1, corpus);
    for _ in 0..BENT {
        let input = mutator.bend();
        // Printed by the harness when the target panics, as the input to add to the corpus.
        println!("{name}: {:?}", String::from_utf8_lossy(&input));
        understood += usize::from(target(&input));
    }
    // Else nothing was tried but how refusals are worded.
    assert!(
        understood * 20 > all,
        "{name}: only {understood} of {all} inputs were understood"
    );
}
