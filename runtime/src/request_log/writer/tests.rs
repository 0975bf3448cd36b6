use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::mpsc::{self, Receiver},
};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::request_log::tests::Memory;

type Bytes = Arc<Mutex<Vec<u8>>>;

/// Waits to be let on before each write.
struct Gate(Receiver<()>, Memory);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.recv().map_err(io::Error::other)?;
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has room for so many bytes.
struct Disk {
    room: Arc<Mutex<usize>>,
    out: Bytes,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.room.lock().unwrap();
        let fits = bytes.len().min(*room);
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *room -= fits;
        self.out.lock().unwrap().extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(sink: impl Write + Send + 'static) -> Writer {
    Writer::start(Sink::Test(Box::new(sink)), &Alarm::default()).unwrap()
}

#[track_caller]
fn flush(writer: &Writer) {
    assert!(writer.flush(Duration::MAX));
}

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("httpout-log-{:016x}", fastrand::u64(..)));
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn one_that_cannot_keep_up_loses_lines_and_counts_them() {
    let (go, gate) = mpsc::channel();
    let out = Bytes::default();
    let writer = start(Gate(gate, Memory(out.clone())));
    let line = "x".repeat(1 << 20) + "\n";
    for _ in 0..20 {
        writer.write(&line);
    }
    let lost = writer.lost();
    assert!((20 - 8..20).contains(&lost), "{lost}");
    for _ in 0..20 {
        go.send(()).unwrap();
    }
    flush(&writer);
    drop(writer);
    assert_eq!(out.lock().unwrap().len() as u64, (20 - lost) * line.len() as u64);
}

#[test]
fn one_that_is_stuck_is_not_waited_for() {
    let (go, gate) = mpsc::channel();
    let out = Bytes::default();
    let writer = start(Gate(gate, Memory(out.clone())));
    writer.write("a\n");
    assert!(!writer.flush(Duration::from_millis(1)));
    assert!(out.lock().unwrap().is_empty());
    go.send(()).unwrap();
    flush(&writer);
    assert_eq!(*out.lock().unwrap(), b"a\n");
}

#[test]
fn all_is_written_when_it_is_dropped() {
    let out = Bytes::default();
    let writer = start(Memory(out.clone()));
    for _ in 0..10_000 {
        writer.write("line\n");
    }
    drop(writer);
    assert_eq!(out.lock().unwrap().len(), 50_000);
}

#[test]
fn lines_of_many_threads_stay_whole_and_in_order() {
    let out = Bytes::default();
    let writer = start(Memory(out.clone()));
    thread::scope(|scope| {
        for name in 0..8 {
            let writer = &writer;
            scope.spawn(move || (0..1000).for_each(|at| writer.write(&format!("{name} {at}\n"))));
        }
    });
    flush(&writer);
    assert_eq!(writer.lost(), 0);
    let text = String::from_utf8(out.lock().unwrap().clone()).unwrap();
    for name in 0..8 {
        let mut of_one = text.lines().filter(|line| line.starts_with(&format!("{name} ")));
        assert!((0..1000).all(|at| of_one.next() == Some(&format!("{name} {at}"))));
        assert_eq!(of_one.next(), None);
    }
}

#[test]
fn a_file_that_is_renamed_is_opened_anew() {
    let dir = Dir::new();
    let (log, old) = (dir.0.join("log"), dir.0.join("old"));
    fs::write(&log, "zero\n").unwrap();
    let writer = Writer::start(Sink::open(&log).unwrap(), &Alarm::default()).unwrap();
    writer.write("one\n");
    flush(&writer);
    fs::rename(&log, &old).unwrap();
    writer.reopen();
    writer.write("two\n");
    flush(&writer);
    assert_eq!(fs::read_to_string(&old).unwrap(), "zero\none\n");
    assert_eq!(fs::read_to_string(&log).unwrap(), "two\n");
    let mode = fs::metadata(&log).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
}

#[test]
fn a_file_that_cannot_be_opened_anew_is_kept() {
    let dir = Dir::new();
    let (logs, old) = (dir.0.join("logs"), dir.0.join("old"));
    fs::create_dir(&logs).unwrap();
    let writer = Writer::start(Sink::open(&logs.join("log")).unwrap(), &Alarm::default()).unwrap();
    fs::rename(&logs, &old).unwrap();
    writer.reopen();
    writer.write("one\n");
    flush(&writer);
    assert_eq!(fs::read_to_string(old.join("log")).unwrap(), "one\n");
    assert_eq!(writer.lost(), 0);
}

#[test]
fn a_full_disk_loses_all_that_it_does_not_take() {
    let writer =
        Writer::start(Sink::open(Path::new("/dev/full")).unwrap(), &Alarm::default()).unwrap();
    for count in 1..=10 {
        writer.write("line\n");
        flush(&writer);
        assert_eq!(writer.lost(), count);
    }
}

#[test]
fn losses_are_told_once_a_second_at_most() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut told = Told::default();
    assert_eq!(told.news(true, 0, at(0)), None);
    assert_eq!(told.due(0, at(0)), None);
    assert_eq!(told.due(3, at(0)), Some(Duration::ZERO));
    assert_eq!(told.news(true, 3, at(0)), Some(News::Lost(3)));
    assert_eq!(told.due(3, at(1)), None);
    assert_eq!(told.news(true, 5, at(1)), None);
    assert_eq!(told.due(5, at(400)), Some(Duration::from_millis(600)));
    assert_eq!(told.news(true, 9, at(1000)), Some(News::Lost(6)));
}

#[test]
fn a_full_disk_is_told_of_once() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut told = Told::default();
    assert_eq!(told.news(false, 1, at(0)), Some(News::Failing));
    for millis in [1, 2000, 90_000] {
        assert_eq!(told.news(false, 1 + millis, at(millis)), None);
        assert_eq!(told.due(1 + millis, at(millis)), None);
    }
    assert_eq!(told.news(true, 90_001, at(90_002)), Some(News::Again(90_001)));
    assert_eq!(told.news(true, 90_001, at(90_003)), None);
    // Full every other moment: each is told once a second, and no loss is forgotten.
    assert_eq!(told.news(false, 90_002, at(90_004)), Some(News::Failing));
    assert_eq!(told.news(true, 90_002, at(90_005)), Some(News::Again(1)));
    assert_eq!(told.news(false, 90_004, at(90_006)), None);
    assert_eq!(told.news(true, 90_004, at(90_007)), None);
    assert_eq!(told.due(90_004, at(90_504)), Some(Duration::from_millis(500)));
    assert_eq!(told.news(true, 90_004, at(91_004)), Some(News::Lost(2)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A disk that is full now and then: what is left of a line is a line for itself, and all that
    /// are not whole are counted.
    #[test]
    fn no_line_is_torn_into_another(script in vec((0..20_usize, 0..40_usize), 1..30)) {
        let (room, out) = (Arc::new(Mutex::new(0)), Bytes::default());
        let writer = start(Disk { room: room.clone(), out: out.clone() });
        let (mut lines, mut lost, mut torn) = (Vec::new(), 0, 0);
        for (at, (len, more)) in script.into_iter().enumerate() {
            let line = format!("{at}:{}$", "x".repeat(len));
            *room.lock().unwrap() = more;
            writer.write(&format!("{line}\n"));
            flush(&writer);
            if more <= torn + line.len() {
                lost += 1;
                torn = if more > torn { 1 } else { torn.saturating_sub(more) };
            } else {
                torn = 0;
            }
            lines.push(line);
        }
        prop_assert_eq!(writer.lost(), lost);
        let text = String::from_utf8(out.lock().unwrap().clone()).unwrap();
        let mut rest = lines.iter();
        let mut whole = 0;
        for shown in text.lines() {
            prop_assert!(!shown.is_empty(), "{:?}", text);
            let line = rest.find(|line| line.starts_with(shown));
            prop_assert!(line.is_some(), "{:?} in {:?}", shown, text);
            whole += u64::from(line.is_some_and(|line| line == shown));
        }
        // Of one that is whole the end may have been lost.
        prop_assert!(whole + lost >= lines.len() as u64, "{:?}", text);
    }
}
