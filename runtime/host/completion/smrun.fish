# Completion of smrun for fish: smrun itself says what may follow.
function __smrun_complete
    set -l words (commandline -opc)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    $program --complete fish (commandline -cp | string collect) 2>/dev/null
end
complete -c smrun -f -k -a '(__smrun_complete)'
