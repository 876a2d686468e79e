//! All scenes.

mod answers;
mod chains;
mod credentials;
mod matching;

use super::scene::Scene;

pub(super) fn all() -> Vec<Scene> {
    let mut scenes = vec![
        matching::rules(),
        matching::views(),
        matching::selectors(),
        matching::conditions(),
    ];
    scenes.extend([
        answers::validating(),
        answers::mutating(),
        answers::failures(),
        credentials::credentials(),
    ]);
    scenes.extend([chains::reinvoked(), chains::order()]);
    scenes
}
