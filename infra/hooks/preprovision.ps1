# What would break a deployment minutes later is found here, at once: the hook stops with the reason and the remedy.
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $false # what a command says is looked at here, whatever the profile chose

function Stop-Deployment([string] $Reason) {
    [Console]::Error.WriteLine("bic: $Reason")
    exit 1
}

# The value of a variable, which is one of the words.
function Get-Choice([string] $Name, [string] $Default, [string[]] $Words) {
    $value = [Environment]::GetEnvironmentVariable($Name)
    if (-not $value) { $value = $Default }
    if ($Words -cnotcontains $value) {
        Stop-Deployment "$Name is '$value'; it can be: $Words. Say 'azd env set $Name $Default', for example."
    }
    return $value
}

function Confirm-Az {
    if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
        Stop-Deployment "The Azure CLI is not on PATH. Install it (https://aka.ms/azcli), say 'az login', then what you said again."
    }
}

# One line, or the hook ends.
function Get-SignedIn([string] $What) {
    Confirm-Az
    $answer = az account show --query $What --output tsv
    if ($LASTEXITCODE -ne 0) {
        Stop-Deployment "Who administers the database is not known: nobody is signed in to the Azure CLI. Say 'az login', or 'azd env set BIC_ADMINISTRATOR_NAME NAME'."
    }
    if (-not $answer -or $answer -is [array]) {
        Stop-Deployment "The Azure CLI does not say in one line who is signed in: '$answer'. Say 'azd env set BIC_ADMINISTRATOR_NAME NAME'."
    }
    return $answer
}

function Set-Remembered([string] $Name, [string] $Value) {
    if (Get-Command azd -ErrorAction SilentlyContinue) { azd env set $Name $Value } else { $global:LASTEXITCODE = 127 }
    if ($LASTEXITCODE -ne 0) {
        Stop-Deployment "azd could not keep $Name; look at the message above, then try 'azd env set $Name $Value' by hand."
    }
}

$database = Get-Choice BIC_DATABASE true @('true', 'false')
$network = Get-Choice BIC_NETWORK false @('true', 'false')
$open = Get-Choice BIC_DATABASE_OPEN_TO_AZURE auto @('auto', 'true', 'false')
$administrator = Get-Choice BIC_ADMINISTRATOR_TYPE User @('User', 'Group', 'Application')
$clientId = $env:BIC_ADMINISTRATOR_CLIENT_ID

if ("$database $network $open" -eq 'true false false') {
    Stop-Deployment "The database would be closed to the app: without a network it has no fixed address that a firewall could name. Say 'azd env set BIC_NETWORK true', or 'azd env set BIC_DATABASE_OPEN_TO_AZURE auto'."
}

if ($database -eq 'true' -and -not $env:BIC_ADMINISTRATOR_NAME) {
    $name = Get-SignedIn user.name
    $kind = Get-SignedIn user.type
    if ($kind -eq 'servicePrincipal' -and $name -notmatch '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') { # the CLI calls it by its client id, but not a managed identity
        Stop-Deployment "A managed identity is signed in, '$name'. Say 'azd env set BIC_ADMINISTRATOR_TYPE Application', 'azd env set BIC_ADMINISTRATOR_CLIENT_ID ID' and 'azd env set BIC_ADMINISTRATOR_NAME NAME'."
    }
    Set-Remembered BIC_ADMINISTRATOR_NAME $name
    if ($kind -eq 'servicePrincipal') {
        $administrator = 'Application'
        if (-not $clientId) { $clientId = $name }
        Set-Remembered BIC_ADMINISTRATOR_TYPE $administrator
        Set-Remembered BIC_ADMINISTRATOR_CLIENT_ID $clientId
    }
}

if ("$database $administrator" -eq 'true Application' -and -not $clientId) {
    Stop-Deployment "Azure SQL knows an application by its client id, which nobody gave. Say 'azd env set BIC_ADMINISTRATOR_CLIENT_ID ID'."
}

if ($network -eq 'true') { # the app's subnet is delegated to it, and a deployment registers providers of its own types only
    Confirm-Az
    $where = if ($env:AZURE_SUBSCRIPTION_ID) { @('--subscription', $env:AZURE_SUBSCRIPTION_ID) } else { @() }
    az provider register --namespace Microsoft.App --wait @where
    if ($LASTEXITCODE -ne 0) {
        Stop-Deployment "The provider Microsoft.App could not be registered. Whoever owns the subscription can: 'az provider register --namespace Microsoft.App --wait'."
    }
}
