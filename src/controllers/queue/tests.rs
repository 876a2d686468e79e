use super::*;

fn queue() -> Arc<Queue> {
    Queue::new("test", &ControllerMetrics::new())
}

fn key(name: &str) -> Key {
    Key::cluster(name)
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_once_and_is_worked_at_once() {
    let queue = queue();
    for name in ["a", "b", "a", "a"] {
        queue.add(key(name));
    }
    assert_eq!(queue.next().await.key, key("a"));
    queue.add(key("a"));
    queue.add(key("a"));
    assert_eq!(queue.next().await.key, key("b"));
    assert_eq!(queue.try_next(), None, "a worker is at a");
    queue.done(&key("a"));
    assert_eq!(queue.next().await.key, key("a"));
    queue.done(&key("a"));
    queue.done(&key("b"));
    assert_eq!(queue.try_next(), None);
}

#[tokio::test(start_paused = true)]
async fn pauses_double_until_forgotten() {
    let queue = queue();
    let pauses: Vec<_> = (0..4).map(|_| queue.add_rate_limited(key("a")).as_millis()).collect();
    assert_eq!(pauses, [5, 10, 20, 40]);
    assert_eq!(queue.add_rate_limited(key("b")).as_millis(), 5, "each key has its own");
    queue.forget(&key("a"));
    assert_eq!(queue.add_rate_limited(key("a")).as_millis(), 5);
    for _ in 0..40 {
        queue.add_rate_limited(key("c"));
    }
    assert_eq!(queue.add_rate_limited(key("c")), LONGEST_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn later_is_later_and_now_is_now() {
    let queue = queue();
    let start = Instant::now();
    queue.add_after(key("late"), Duration::from_secs(3));
    queue.add_after(key("soon"), Duration::from_secs(1));
    assert_eq!(queue.next().await.key, key("soon"));
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    queue.done(&key("soon"));
    queue.add(key("late"));
    assert_eq!(queue.next().await.key, key("late"));
    assert_eq!(
        start.elapsed(),
        Duration::from_secs(1),
        "what is added now does not wait"
    );
    queue.done(&key("late"));
    assert_eq!(queue.next().await.key, key("late"));
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_change_is_followed_by_a_look() {
    let queue = queue();
    let (changed, seen) = (Arc::new(Mutex::new([0_u32; 8])), Arc::new(Mutex::new([0_u32; 8])));
    let busy = Arc::new(Mutex::new(HashSet::new()));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (queue, changed, seen, busy) = (queue.clone(), changed.clone(), seen.clone(), busy.clone());
            tokio::spawn(async move {
                loop {
                    let item = queue.next().await;
                    assert!(busy.lock().insert(item.key.clone()), "two workers at {}", item.key);
                    let at: usize = item.key.name.parse().unwrap();
                    let now = changed.lock()[at];
                    tokio::task::yield_now().await;
                    seen.lock()[at] = now;
                    busy.lock().remove(&item.key);
                    queue.done(&item.key);
                }
            })
        })
        .collect();
    for round in 1..=2_000 {
        let at = round % 8;
        changed.lock()[at] += 1;
        queue.add(key(&at.to_string()));
        if round % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let all_seen = async {
        while *seen.lock() != *changed.lock() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), all_seen).await;
    assert!(waited.is_ok(), "{:?} of {:?}", seen.lock(), changed.lock());
    assert!(workers.iter().all(|worker| !worker.is_finished()), "a worker failed");
    for worker in workers {
        worker.abort();
    }
}
