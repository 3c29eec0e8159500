//! Host programs in C (tests/c/host.c): what remains after they unload the module, how they end, and whether their
//! use of memory is correct.

use crate::module_test;
use crate::support::world::{UNDER_VALGRIND, World, module_path, rounds};
use cloud_kms_emulator::{Action, AwsKey, Fault, VaultKey};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

/// Configures a key of each cloud, a key with which signing is denied, and a key that does not exist.
fn configure(world: &World) {
    for name in ["a", "denied"] {
        world.emulator.aws().create_key(AwsKey::new("ECC_NIST_P256").alias(&format!("alias/{name}"))).unwrap();
    }
    world.emulator.vault("default").create_key("z", VaultKey::rsa(2048)).unwrap();
    world.emulator.control().fault(Fault::new("kms.Sign", Action::Deny).key("denied"));
    world.configure_with(
        json!([
            { "label": "a", "kms_key_id": "alias/a" },
            { "label": "z", "key_name": "z" },
            { "label": "denied", "kms_key_id": "alias/denied" },
            { "label": "missing", "key_name": "missing" },
        ]),
        json!({ "aws_endpoint_url": world.emulator.https_url(), "call_timeout_ms": 120_000, "connect_timeout_ms": 60_000 }),
    );
}

/// Returns the command that runs the program with the module. If UNDER_VALGRIND is set, the program runs under
/// valgrind with these options.
fn host(world: &World, arguments: &[&str], valgrind: &[&str]) -> Command {
    let mut words = Vec::new();
    if std::env::var_os(UNDER_VALGRIND).is_some() {
        words.extend(["valgrind", "--quiet", "--error-exitcode=99", "--num-callers=30"].map(PathBuf::from));
        words.extend(valgrind.iter().map(PathBuf::from));
    }
    words.extend([program(world), module_path()]);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(arguments);
    command
}

/// Builds the program if necessary, and returns its path.
fn program(world: &World) -> PathBuf {
    let (source, program) = (PathBuf::from(env!("CARGO_MANIFEST_DIR")), world.home.join("host"));
    if program.exists() {
        return program;
    }
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"]).arg(&program);
    compiler.arg("-I").arg(source.join("include")).arg(source.join("tests/c/host.c")).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    program
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

module_test! {
    fn repeated_load_and_unload_leaks_nothing(world) {
        configure(world);
        let count = rounds(60, 1000);
        let mut command = Command::new(program(world));
        let output = command.arg(module_path()).args(["cycles", &count.to_string()]).output().unwrap();
        let report = text(&output);
        assert!(output.status.success(), "{report}");
        let numbers = |when: &str| -> Vec<i64> {
            let line = report.lines().find_map(|line| line.strip_prefix(when)).unwrap();
            line.split_whitespace().map(|number| number.parse().unwrap()).collect()
        };
        let (begun, half, done) = (numbers("begun"), numbers("half"), numbers("done"));
        assert_eq!(begun[1..], done[1..], "open files and threads: {report}");
        // Memory does not grow with the number of cycles. Half a megabyte allows for the allocator. If each cycle
        // leaked a single connection or client, of tens of kilobytes each, the growth would be far larger: there
        // are some 27 cycles here, or 450.
        let lives = (count - count / 10) as i64 / 2;
        assert!(done[0] - half[0] < 512 + lives / 2, "resident kilobytes: {report}");
    }
}

module_test! {
    fn a_program_that_ends_during_calls_exits_promptly(world) {
        configure(world);
        let all = ["return", "exit-elsewhere", "atexit", "forked", "exit", "quick", "dlclose"];
        // Under valgrind each way takes some ten seconds.
        let few = if std::env::var_os(UNDER_VALGRIND).is_some() { 4 } else { all.len() };
        for way in &all[..few] {
            let mut host = host(world, &["end-by", way], &[]);
            host.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut host = host.spawn().unwrap();
            // The program signs continuously, in two threads for each service. From now on the services do not reply.
            for operation in ["kms.Sign", "vault.keys.sign"] {
                assert!(world.emulator.control().wait_for(operation, 2, LONG), "{way}: {operation}");
                let asked = world.count(operation);
                world.emulator.control().fault(Fault::new(operation, Action::Hang));
                assert!(world.emulator.control().wait_for(operation, asked + 2, LONG), "{way}: {operation}");
            }
            let start = Instant::now();
            host.stdin.take().unwrap().write_all(b"\n").unwrap();
            let output = host.wait_with_output().unwrap();
            // Far below the two minutes for which the program's calls wait.
            assert!(start.elapsed() < Duration::from_secs(20), "{way}: {:?}", start.elapsed());
            assert_eq!((output.status.code(), text(&output).as_str()), (Some(7), ""), "{way}: {}", output.status);
            world.emulator.control().clear_faults();
            world.emulator.control().reset();
        }
    }
}

/// Memory to which nothing points any more is an error. Memory that statics keep until the next C_Initialize is not.
const LEAKS: [&str; 3] = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"];

module_test! {
    fn a_program_that_uses_everything_has_no_memory_errors(world) {
        configure(world);
        let output = host(world, &["everything"], &LEAKS).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
}

module_test! {
    fn a_host_may_close_all_descriptors(world) {
        configure(world);
        for from in ["3", "0"] {
            let output = Command::new(program(world)).arg(module_path()).args(["close-all", from]).output().unwrap();
            assert!(output.status.success(), "{from}: {} {} {}", output.status, text(&output), world.log());
            let log = world.log();
            assert!(!log.contains("a defect"), "no panic: {log}");
            assert!(log.contains("the program closed file descriptors of this module"), "{log}");
            std::fs::remove_file(world.home.join("module.log")).unwrap();
        }
    }
}

module_test! {
    fn a_call_that_waits_while_the_host_closes_all_descriptors_is_ended(world) {
        configure(world);
        let mut host = Command::new(program(world));
        host.arg(module_path()).arg("close-amid");
        let mut child = host.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The second signature with this key is the one that waits.
        let control = world.emulator.control();
        assert!(control.wait_for("vault.keys.sign", 1, LONG));
        control.fault(Fault::new("kms.Sign", Action::Hang).times(1));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"\n").unwrap();
        assert!(control.wait_for("kms.Sign", 2, LONG));
        let start = Instant::now();
        stdin.write_all(b"\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{} {} {}", output.status, text(&output), world.log());
        // Far below the two minutes for which a call waits here.
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        assert!(!world.log().contains("a defect"), "{}", world.log());
    }
}
