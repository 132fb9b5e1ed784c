# Completion of smrun for bash: smrun itself says what may follow.
_smrun() {
  local program=$1
  [[ $program == "~/"* ]] && program=$HOME/${program:2}
  mapfile -t COMPREPLY < <("$program" --complete bash "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
  [[ ${COMPREPLY-} == *[/=] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _smrun smrun
