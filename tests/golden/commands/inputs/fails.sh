# Runs a command that must fail, and passes on its stderr: fails.sh CODE COMMAND...
# Fails itself unless the command exits with CODE and prints nothing on stdout.
expected=$1
shift
exec 3>&1
stdout=$("$@" 2>&3)
code=$?
[ "$code" -eq "$expected" ] || { echo "exit code $code, expected $expected" >&2; exit 1; }
[ -z "$stdout" ] || { echo "on stdout: $stdout" >&2; exit 1; }
