//! A file that is put aside when it is large, under the name that Kubernetes' servers give: `audit-<time>.log`
//! (gopkg.in/natefinch/lumberjack.v2).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, ToSpan};

const TIME: &str = "%Y-%m-%dT%H-%M-%S.%3f";

/// The ending of a file that is compressed, and of one that is not yet.
const COMPRESSED: &str = ".gz";
const PARTIAL: &str = ".partial";

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
    /// Whether the file ends in half a line, which what follows must not be glued to.
    torn: bool,
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
        let torn = size > 0 && !ends_in_line(path)?;
        let (tidy, wanted) = mpsc::channel();
        let own = path.to_owned();
        // Removing and compressing takes longer than any request should wait.
        std::thread::Builder::new()
            .name("audit-log-tidy".to_owned())
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
            torn,
            rotation,
            tidy,
        };
        rotating.ask_to_tidy();
        Ok(rotating)
    }

    /// Appends whole lines, or nothing.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let length = lines.len() as u64;
        let limit = self.rotation.max_size;
        if limit > 0 && self.size > 0 && self.size + length > limit {
            self.rotate()?;
        }
        self.append(length, |file| file.write_all(lines))
    }

    fn append(&mut self, length: u64, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.size += 1;
            self.torn = false;
        }
        let written = write(&mut self.file);
        match &written {
            Ok(()) => self.size += length,
            Err(_) => self.torn = !self.cut(),
        }
        written
    }

    /// Takes away what was written of lines that are not whole; whether the file ends as it did before. Somebody else may have
    /// made it shorter.
    fn cut(&self) -> bool {
        let length = || self.file.metadata().map(|file| file.len());
        if length().is_ok_and(|length| length > self.size)
            && let Err(error) = self.file.set_len(self.size)
        {
            tracing::error!(%error, "half a line stays in the audit log");
        }
        length().is_ok_and(|length| length == self.size)
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
        self.torn = false;
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

fn ends_in_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// `audit.log` is put aside as `audit-2026-01-02T03-04-05.678.log`.
fn backup(path: &Path, time: Timestamp) -> PathBuf {
    let (stem, extension) = name_of(path);
    path.with_file_name(format!("{stem}-{}{extension}", time.strftime(TIME)))
}

fn compressed(path: &Path) -> PathBuf {
    with_ending(path, COMPRESSED)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
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
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(path))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(time) = put_aside(path, name.strip_suffix(COMPRESSED).unwrap_or(&name)) {
            found.push((time, entry.path()));
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    Ok(found)
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// When the file of this name was put aside, if it was.
fn put_aside(path: &Path, name: &str) -> Option<Timestamp> {
    let (stem, extension) = name_of(path);
    let rest = name.strip_prefix(&stem)?.strip_prefix('-')?;
    let time = DateTime::strptime(TIME, rest.strip_suffix(extension.as_str())?).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Removes what is too old or too much, and compresses the rest. A file with which that fails does not keep the others.
fn tidy_up(path: &Path, rotation: Rotation, now: Timestamp) -> io::Result<()> {
    let age = SignedDuration::from_hours(24 * i64::from(rotation.max_age));
    // There is no time that long ago.
    let oldest = now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let tell = |file: &Path, done: io::Result<()>| {
        if let Err(error) = done {
            tracing::error!(%error, file = %file.display(), "an old audit log");
        }
    };
    for file in fs::read_dir(folder(path))?.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        // Whoever was about to compress it is no more.
        if name
            .strip_suffix(PARTIAL)
            .is_some_and(|name| put_aside(path, name).is_some())
        {
            tell(&file.path(), fs::remove_file(file.path()));
        }
    }
    for (at, (time, file)) in backups(path)?.into_iter().enumerate() {
        let surplus = rotation.max_backups > 0 && at >= rotation.max_backups;
        let aged = rotation.max_age > 0 && time < oldest;
        if surplus || aged {
            tell(&file, fs::remove_file(&file));
        } else if rotation.compress && file.extension().is_none_or(|extension| extension != "gz") {
            tell(&file, compress(&file));
        }
    }
    Ok(())
}

/// The compressed file is there in whole, or not at all.
fn compress(path: &Path) -> io::Result<()> {
    let partial = with_ending(path, PARTIAL);
    let packed = pack(path, &partial);
    if packed.is_err() {
        // What went wrong says more than whether this works.
        let _ = fs::remove_file(&partial);
    }
    packed?;
    fs::rename(&partial, compressed(path))?;
    fs::remove_file(path)
}

fn pack(path: &Path, partial: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(partial)?;
    let mut encoder = GzEncoder::new(file, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()
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
    fn half_a_line_does_not_spoil_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        // A process that was killed has left it.
        fs::write(&path, "whole\nhal").unwrap();
        let mut log = Rotating::open(&path, Rotation { max_size: 0, ..PLAIN }).unwrap();
        log.write(b"next\n").unwrap();
        assert_eq!(lines(&path), ["whole", "hal", "next"]);
        // The disk is full in the middle of a line.
        let half = |file: &mut File| -> io::Result<()> {
            file.write_all(b"ha")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        log.append(5, half).unwrap_err();
        log.write(b"more\n").unwrap();
        assert_eq!(lines(&path), ["whole", "hal", "next", "more"]);
        // Somebody has emptied the file meanwhile: nothing is known of where lines end.
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        log.append(5, half).unwrap_err();
        log.write(b"last\n").unwrap();
        assert_eq!(lines(&path), ["ha", "last"]);
        drop(log);
        fs::write(&path, "whole\n").unwrap();
        let mut log = Rotating::open(&path, PLAIN).unwrap();
        log.write(b"next\n").unwrap();
        assert_eq!(lines(&path), ["whole", "next"]);
    }

    #[test]
    fn a_file_that_cannot_be_tidied_up_does_not_keep_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        let at = |hours| backup(&path, now - SignedDuration::from_hours(hours));
        // Folders are not removed, nor compressed.
        fs::create_dir(at(1)).unwrap();
        fs::create_dir(at(90)).unwrap();
        fs::write(at(30), "kept\n").unwrap();
        fs::write(at(120), "aged\n").unwrap();
        fs::write(with_ending(&at(29), PARTIAL), "half").unwrap();
        let rotation = Rotation {
            max_age: 3,
            compress: true,
            ..PLAIN
        };
        tidy_up(&path, rotation, now).unwrap();
        let left: BTreeSet<PathBuf> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert_eq!(left, BTreeSet::from([at(1), at(90), compressed(&at(30))]));
        // Longer than there has been time.
        let ever = Rotation {
            max_age: u32::MAX,
            ..PLAIN
        };
        tidy_up(&path, ever, now).unwrap();
        assert_eq!(backups(&path).unwrap().len(), 3);
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
