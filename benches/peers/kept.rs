//! The newest figures of the default and of the long run, side by side, and the documents that are made of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::programs;
use crate::plot;
use crate::report::{Point, Run};
use crate::settings::Settings;

/// The part of docs/benchmarks.md that the command writes, for each run.
const MARKS: [(&str, &str, &str); 2] = [
    (
        "default",
        "<!-- figures of the default run -->\n",
        "<!-- end of the default run -->",
    ),
    (
        "long",
        "<!-- figures of the long run -->\n",
        "<!-- end of the long run -->",
    ),
];

#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    text: String,
    points: Vec<Point>,
}

/// Puts the run in the place of the last one like it; with `--write` in `docs`, otherwise below `target`.
///
/// # Errors
/// A file cannot be read or written.
pub(crate) fn keep(run: &Run, settings: &Settings) -> Result<String, String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let folder = if settings.write {
        docs.clone()
    } else {
        programs::target().to_owned()
    };
    let file = folder.join("benchmarks.json");
    let mut all: BTreeMap<String, Kept> = match fs::read(&file) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(&file, &error))?,
        Err(_) => BTreeMap::new(),
    };
    let name = if settings.long { "long" } else { "default" };
    let kept = Kept {
        text: run.text.clone(),
        points: run.points.clone(),
    };
    all.insert(name.to_owned(), kept);
    let text = serde_json::to_string_pretty(&all).map_err(|error| failed(&file, &error))?;
    write(&file, &format!("{text}\n"))?;

    // Where both runs have a size, the later run in the alphabet stands for it.
    let points: Vec<Point> = all.values().flat_map(|kept| kept.points.iter().cloned()).collect();
    let plot = folder.join("benchmarks.svg");
    write(&plot, &plot::draw(&points))?;
    let mut files = format!("{} and {}", file.display(), plot.display());
    if settings.write {
        let document = docs.join("benchmarks.md");
        let mut text = fs::read_to_string(&document).map_err(|error| failed(&document, &error))?;
        for (name, start, end) in MARKS {
            if let Some(kept) = all.get(name) {
                text = between(&text, start, end, &kept.text).ok_or_else(|| failed(&document, &"no marks"))?;
            }
        }
        write(&document, &text)?;
        files = format!("{files} and {}", document.display());
    }
    Ok(files)
}

fn between(text: &str, start: &str, end: &str, new: &str) -> Option<String> {
    let from = text.find(start)? + start.len();
    let to = from + text[from..].find(end)?;
    Some(format!("{}{new}{}", &text[..from], &text[to..]))
}

fn write(path: &PathBuf, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("{}: {why}", path.display())
}
