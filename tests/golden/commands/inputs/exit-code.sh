# Runs a command and fails unless it exits with the code given first: exit-code.sh 2 bnc train
expected=$1
shift
"$@"
code=$?
if [ "$code" -ne "$expected" ]; then
  echo "exit code $code, expected $expected" >&2
  exit 1
fi
