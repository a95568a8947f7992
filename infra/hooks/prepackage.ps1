# Makes build/package, the folder that azd deploys: the program and its packages, nothing else, for the Python that the app runs on.
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $false # what a command says is looked at here, whatever the profile chose

function Stop-Deployment([string] $Reason) {
    [Console]::Error.WriteLine("bic: $Reason")
    exit 1
}

$python = Get-Command .venv/Scripts/python.exe, python3, python -ErrorAction SilentlyContinue | Where-Object {
    & $_ -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>$null # the first that runs and is new enough
    $LASTEXITCODE -eq 0
} | Select-Object -First 1
if (-not $python) {
    Stop-Deployment "Python 3.11 or newer is not on PATH, and makes the package: install it, then say 'azd package'."
}
& $python infra/package.py
if ($LASTEXITCODE -ne 0) {
    Stop-Deployment "Nothing is deployed without its package; the message above says what failed. Then say 'azd package'."
}
