<#
.SYNOPSIS
Installs bic into a folder and tries it with a simulated appliance.

.DESCRIPTION
For Windows PowerShell 5.1 and PowerShell 7. Needs Python 3.11 or newer and the network, which brings the packages.
Called again it brings the folder up to date; settings and what was stored stay.

.PARAMETER Folder
Where bic goes: venv (the program) and demo (the trial).

.PARAMETER Python
The Python to make the venv with: a command or a path.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File contrib\windows\quick-start.ps1 -Folder C:\bic
#>
param(
    [string] $Folder = 'C:\bic',
    [string] $Python = 'py'
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

function Stop-Here([string] $Why) {
    [Console]::Error.WriteLine("quick-start: $Why")
    exit 1
}

function Invoke-Program([string] $Program, [string[]] $Arguments, [string] $Otherwise) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { Stop-Here $Otherwise }
}

$clone = Split-Path (Split-Path $PSScriptRoot)
$venv = Join-Path $Folder 'venv'

if (-not (Get-Command $Python -ErrorAction SilentlyContinue)) {
    Stop-Here "There is no $Python here. Install Python 3.11 or newer, or name it: -Python C:\Python313\python.exe"
}
Invoke-Program $Python @('-c', 'import sys; sys.exit(sys.version_info < (3, 11))') "$Python is older than 3.11. Name another: -Python PATH"

Write-Host "Installing into $venv ..."
Invoke-Program $Python @('-m', 'venv', $venv) "No venv could be made in $venv."
# The folder of programs is named Scripts on Windows alone.
$programs = Join-Path $venv 'Scripts'
if (-not (Test-Path $programs)) { $programs = Join-Path $venv 'bin' }
$pip = @('-m', 'pip', '--disable-pip-version-check', '--quiet', 'install')
$inVenv = Join-Path $programs 'python'
Invoke-Program $inVenv ($pip + @('--require-hashes', '-r', (Join-Path $clone 'requirements.txt'))) 'The packages could not be installed.'
# What an earlier version left there would be installed along.
Remove-Item (Join-Path $clone 'build') -Recurse -Force -ErrorAction SilentlyContinue
Invoke-Program $inVenv ($pip + @('--no-deps', $clone)) 'bic could not be installed.'

$bic = Join-Path $programs 'bic'
$demo = Join-Path $Folder 'demo'
Invoke-Program $bic @('demo', '--directory', $demo) "bic demo failed; what was stored is in $demo."

Write-Host ''
Write-Host "The program is $bic. For an appliance of yours write $(Join-Path $Folder 'bic.toml') (README.md says how), then:"
Write-Host "  & '$bic' check --settings '$(Join-Path $Folder 'bic.toml')'"
Write-Host "  & '$bic' serve --settings '$(Join-Path $Folder 'bic.toml')'"
Write-Host 'As a service: contrib\windows\bic-service.xml.'
