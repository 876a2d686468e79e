//! A file that is put aside when it is large, under the name that Kubernetes' servers give: `audit-<time>.log`
//! (gopkg.in/natefinch/lumberjack.v2).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, ToSpan};

const TIME: &str = "%Y-%m-%dT%H-%M-%S.%3f";

/// When a file is put aside, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes after which a new file is begun; never, when 0.
    pub max_size: u64,
    /// Days after which an old file is removed; never, when 0.
    pub max_age: u32,
    /// Old files that are kept; all, when 0.
    pub max_backups: usize,
    /// Whether old files are compressed.
    pub compress: bool,
}

/// The file that is written, and a thread that looks after the old ones.
pub(super) struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
    rotation: Rotation,
    tidy: mpsc::Sender<()>,
}

impl Rotating {
    /// Goes on where the file ends.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let file = append_to(path)?;
        let size = file.metadata()?.len();
        let (tidy, wanted) = mpsc::channel();
        let own = path.to_owned();
        // Removing and compressing takes longer than any request should wait.
        std::thread::Builder::new()
            .name("audit-log".to_owned())
            .spawn(move || {
                while wanted.recv().is_ok() {
                    if let Err(error) = tidy_up(&own, rotation, Timestamp::now()) {
                        tracing::error!(%error, "old audit logs");
                    }
                }
            })?;
        let rotating = Self {
            path: path.to_owned(),
            file,
            size,
            rotation,
            tidy,
        };
        rotating.ask_to_tidy();
        Ok(rotating)
    }

    /// Appends whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let length = lines.len() as u64;
        let limit = self.rotation.max_size;
        if limit > 0 && self.size > 0 && self.size + length > limit {
            self.rotate()?;
        }
        self.file.write_all(lines)?;
        self.size += length;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        // Two within a millisecond must not have one name.
        let mut time = Timestamp::now();
        let mut aside = backup(&self.path, time);
        while aside.exists() || compressed(&aside).exists() {
            time += 1.millisecond();
            aside = backup(&self.path, time);
        }
        // Somebody else may have moved it: then there is nothing to put aside.
        match fs::rename(&self.path, aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.file = append_to(&self.path)?;
        self.size = self.file.metadata()?.len();
        self.ask_to_tidy();
        Ok(())
    }

    fn ask_to_tidy(&self) {
        // Nobody there means that the thread is gone, which was logged.
        let _ = self.tidy.send(());
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// `audit.log` is put aside as `audit-2026-01-02T03-04-05.678.log`.
fn backup(path: &Path, time: Timestamp) -> PathBuf {
    let (stem, extension) = name_of(path);
    path.with_file_name(format!("{stem}-{}{extension}", time.strftime(TIME)))
}

fn compressed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

/// `audit` and `.log`.
fn name_of(path: &Path) -> (String, String) {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = text(path.extension());
    let dot = if extension.is_empty() { "" } else { "." };
    (text(path.file_stem()), format!("{dot}{extension}"))
}

/// The files that were put aside, the newest first, with their times.
fn backups(path: &Path) -> io::Result<Vec<(Timestamp, PathBuf)>> {
    let (stem, extension) = name_of(path);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        let time = plain
            .strip_prefix(&stem)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(extension.as_str()))
            .and_then(|time| DateTime::strptime(TIME, time).ok())
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC).ok());
        if let Some(time) = time {
            found.push((time.timestamp(), entry.path()));
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    Ok(found)
}

/// Removes what is too old or too much, and compresses the rest.
fn tidy_up(path: &Path, rotation: Rotation, now: Timestamp) -> io::Result<()> {
    let oldest = now - SignedDuration::from_hours(24 * i64::from(rotation.max_age));
    for (at, (time, file)) in backups(path)?.into_iter().enumerate() {
        let surplus = rotation.max_backups > 0 && at >= rotation.max_backups;
        let aged = rotation.max_age > 0 && time < oldest;
        if surplus || aged {
            fs::remove_file(&file)?;
        } else if rotation.compress && file.extension().is_none_or(|extension| extension != "gz") {
            compress(&file)?;
        }
    }
    Ok(())
}

/// The compressed file is there in whole, or not at all.
fn compress(path: &Path) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    let mut encoder = GzEncoder::new(file, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&partial, compressed(path))?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read;

    use super::*;

    const PLAIN: Rotation = Rotation {
        max_size: 100,
        max_age: 0,
        max_backups: 0,
        compress: false,
    };

    fn lines(path: &Path) -> Vec<String> {
        let text = match path.extension().is_some_and(|extension| extension == "gz") {
            true => {
                let mut text = String::new();
                let file = File::open(path).unwrap();
                flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
                text
            }
            false => fs::read_to_string(path).unwrap(),
        };
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn nothing_is_lost_whenever_a_file_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/audit.log");
        let mut log = Rotating::open(&path, PLAIN).unwrap();
        let mut written = BTreeSet::new();
        for n in 0..200 {
            let line = format!("{n:030}");
            log.write(format!("{line}\n").as_bytes()).unwrap();
            written.insert(line);
        }
        // one that is larger than a file is written all the same
        let huge = "h".repeat(500);
        log.write(format!("{huge}\n").as_bytes()).unwrap();
        written.insert(huge);
        let old = backups(&path).unwrap();
        assert_eq!(old.len(), 67, "three lines a file");
        let files = old.iter().map(|(_, file)| file.as_path()).chain([path.as_path()]);
        let found: BTreeSet<String> = files.flat_map(lines).collect();
        assert_eq!(found, written);
        // another process goes on with the same file
        drop(log);
        let mut log = Rotating::open(&path, Rotation { max_size: 0, ..PLAIN }).unwrap();
        log.write(b"more\n").unwrap();
        assert_eq!(lines(&path).last().map(String::as_str), Some("more"));
        assert_eq!(
            backups(&path).unwrap().len(),
            67,
            "and never begins another when told so"
        );
    }

    #[test]
    fn old_files_go_by_age_and_number_and_the_rest_is_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        for hours in [1, 30, 60, 90] {
            let file = backup(&path, now - SignedDuration::from_hours(hours));
            fs::write(file, format!("{hours}\n")).unwrap();
        }
        fs::write(folder.path().join("audit-of-others.log"), "x").unwrap();
        let told = |rotation| {
            tidy_up(&path, rotation, now).unwrap();
            let files = backups(&path).unwrap().into_iter();
            files.flat_map(|(_, file)| lines(&file)).collect::<Vec<_>>()
        };
        let aged = Rotation { max_age: 3, ..PLAIN };
        assert_eq!(told(aged), ["1", "30", "60"]);
        let rotation = Rotation {
            max_backups: 2,
            compress: true,
            ..PLAIN
        };
        assert_eq!(told(rotation), ["1", "30"]);
        assert!(
            backups(&path)
                .unwrap()
                .iter()
                .all(|(_, file)| file.extension().unwrap() == "gz")
        );
        assert_eq!(told(rotation), ["1", "30"], "what is compressed stays");
        assert!(folder.path().join("audit-of-others.log").exists());
    }
}
