# Looks for the host in its environment.
# expect=passed user=wrong_output
for name in $(env | cut -d= -f1); do
  case $name in
    PATH|HOME|TMPDIR|LC_ALL|PWD|OLDPWD|SHLVL|_) ;;
    *) echo "BROKEN: $name"; exit 0 ;;
  esac
done
echo held
