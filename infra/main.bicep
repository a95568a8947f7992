// Everything that bic needs in Azure, in one resource group. docs/infrastructure.md explains the parts, the switches and the costs.
targetScope = 'subscription'

import { databaseUser } from 'modules/database-user.bicep'

@minLength(1)
@maxLength(64)
@description('Name of this installation; the resource group and all names follow from it.')
param environmentName string

@description('Azure region. It must offer the Flex Consumption plan.')
param location string

@description('Object id of whoever deploys: may write bic.toml and secrets, and administers the database.')
param principalId string

@description('Sign-in name of the same, or the display name of a group or application; the database shows it as its administrator.')
param principalName string = ''

@allowed(['User', 'Group', 'Application'])
@description('What principalId is.')
param principalType string = 'User'

@description('Client id of the application that principalId is: Azure SQL knows applications by it.')
param principalClientId string = ''

@description('Who is mailed when an alert rule fires; empty: nobody is.')
param alertEmail string = ''

@allowed(['Local', 'Zone', 'Geo'])
@description('Where copies of storage and of the database backups are kept: one data centre, the zones of the region (not every region has them), or another region too.')
param redundancy string = 'Zone'

@description('Instances in several zones of the region; not every region has them.')
param zoneRedundant bool = false

@maxLength(24)
@description('Name of the vault; empty: it follows from environmentName. A deleted vault keeps its name for 90 days.')
param vaultName string = ''

@description('Days for which the archive container refuses every change and deletion; 0: it does not.')
@minValue(0)
@maxValue(36500)
param archiveRetentionDays int = 0

@description('The app may tag files: for tags = true in bic.toml.')
param blobTags bool = false

@description('Names of the secrets in the vault that the app may read, separated by commas. They must be there already.')
param secretNames string = ''

@description('A key in the vault that signs sealed days.')
param sealKeyEnabled bool = false

@description('Name of the secret in the vault that opens the pages; empty: there are none.')
param pageKeyName string = ''

@description('Name of the secret in the vault that opens the pages for reading only; empty: no such key.')
param viewKeyName string = ''

@description('Client id of an app registration for signing in to the pages with Entra ID; empty: by key only.')
param entraClientId string = ''

@description('Create an Azure SQL database for rows.')
param databaseEnabled bool = true

@minValue(15)
@maxValue(10080)
@description('Minutes without a connection after which the database sleeps and costs storage only.')
param databasePauseMinutes int = 15

@allowed(['off', 'pause', 'bill'])
@description('The free offer for this database (ten a subscription): off, or what happens when a month is used up: it pauses until the next one, or is billed.')
param databaseFreeOffer string = 'off'

@minValue(1)
@maxValue(35)
@description('Days for which the database can be brought back to any point in time; at most 7 with the free offer.')
param databaseBackupDays int = 7

@allowed(['auto', 'true', 'false'])
@description('All of Azure may knock at the database (entering takes a token). auto: true without a network, where the app has no fixed address, false with one.')
param databaseOpenToAzure string = 'auto'

@description('Threat detection of Microsoft Defender for the database; it is billed by itself.')
param databaseThreatDetection bool = false

@description('A virtual network: storage, vault and database are then reached by private endpoints only.')
param networkEnabled bool = false

@description('Resource id of a hub network with a gateway to the own premises; empty: no peering.')
param hubNetworkId string = ''

@description('Address ranges of the own premises (shares, appliances) whose route leads to hubFirewallAddress.')
param onPremisesRanges string[] = []

@description('Address of a firewall in the hub through which onPremisesRanges are reached; empty: the gateway own routes do.')
param hubFirewallAddress string = ''

@description('Name servers that know the hosts of the own premises; empty: those of Azure.')
param dnsServers string[] = []

@description('Address range of the virtual network, a /24.')
param networkRange string = '10.90.0.0/24'

@description('Address ranges of administrators: they alone may deploy code, and enter the database from outside; with a network bic.toml and secrets are written from there only, from private ones through the private endpoints. Empty: code may be deployed from anywhere.')
param administratorRanges string[] = []

@description('Address ranges from which the dashboard and the HTTP routes may be called (a function key is needed besides); empty: any.')
param callerRanges string[] = []

@description('Telemetry by OpenTelemetry instead of the host own way. docs/operating.md says what else it takes.')
param openTelemetry bool = false

@minValue(-1)
@description('Most gigabytes a day that the workspace takes in; -1: no limit. What is beyond is lost, alerts included.')
param logDailyGigabytes int = -1

@description('How often the scheduler ticks, as NCRONTAB with seconds, UTC.')
param tickSchedule string = '0 * * * * *'

@description('Minutes after which a visit to a site makes room for the next.')
@minValue(20)
@maxValue(110)
param visitMinutes int = 50

@description('Most instances at once, for each group of functions that scales by itself.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@allowed(['Recreate', 'RollingUpdate'])
@description('What a deployment does to work in hand: end it (it is done again), or let it finish for up to an hour (a preview of the platform).')
param siteUpdateStrategy string = 'Recreate'

@description('Hours without any stored item after which a site is told.')
@minValue(1)
@maxValue(47)
param quietHours int = 24

@description('Hours that the slowest stream of a site may be behind before the site is told; more than the longest period of its schedules.')
@minValue(1)
param lagHours int = 30

@description('Hours after which the newest backup of a site counts as too old.')
@minValue(1)
param backupHours int = 50

@description('What makes names of this installation unlike all others.')
var token = toLower(uniqueString(subscription().id, environmentName, location))

@description('How azd recognises what it made.')
var tags = { 'azd-env-name': environmentName }

@description('Names are reckoned here, once: so that they are known before anything is made, and a check of a deployment sees all of it.')
var names = {
  identity: 'id-bic-${token}'
  hostStorage: take('stbichost${token}', 24)
  dataStorage: take('stbicdata${token}', 24)
  vault: empty(vaultName) ? take('kv-bic-${token}', 24) : vaultName
  server: 'sql-bic-${token}'
  workspace: 'log-bic-${token}'
  insights: 'appi-bic-${token}'
}

@description('Container of bic.toml.')
var settingsContainer = 'bic-settings'

@description('Name of the key that signs seals.')
var sealKey = 'bic-seal'

@description('Each secret that the app reads, once: for the vault capital and small letters are the same.')
var secrets = union(
  map(filter(split(secretNames, ','), name => !empty(trim(name))), name => toLower(trim(name))),
  map(filter([pageKeyName, viewKeyName], name => !empty(name)), name => toLower(name))
)

@description('The administrator as Azure SQL knows him.')
var administratorId = principalType != 'Application'
  ? principalId
  : empty(principalClientId) && databaseEnabled
      ? fail('principalClientId is missing: Azure SQL knows an application by its client id, not by its object id.')
      : principalClientId

@description('How the database shows its administrator.')
var administratorName = empty(principalName) && databaseEnabled
  ? fail('principalName is missing: the database shows its administrator by it.')
  : principalName

@description('Kinds of principals, as roles call them.')
var principalTypes = { User: 'User', Group: 'Group', Application: 'ServicePrincipal' }

@description('Whether the firewall of the database lets all of Azure knock.')
var openToAzure = databaseOpenToAzure != 'false'
  ? databaseOpenToAzure == 'true' || !networkEnabled
  : databaseEnabled && !networkEnabled
      ? fail('databaseOpenToAzure is false without a network: the app has no fixed address that the firewall could name, and could not enter. Set networkEnabled.')
      : false

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    name: names.identity
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: names.workspace
    insightsName: names.insights
    location: location
    tags: tags
    dailyGigabytes: logDailyGigabytes
  }
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    alertEmail: alertEmail
    quietHours: quietHours
    lagHours: lagHours
    backupHours: backupHours
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    hostName: names.hostStorage
    dataName: names.dataStorage
    location: location
    tags: tags
    redundancy: redundancy
    workspaceId: monitoring.outputs.workspaceId
    settingsContainer: settingsContainer
    archiveRetentionDays: archiveRetentionDays
    privateOnly: networkEnabled
    administratorRanges: administratorRanges
  }
}

module vault 'modules/vault.bicep' = {
  scope: group
  params: {
    name: names.vault
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    sealKey: sealKeyEnabled ? sealKey : ''
    privateOnly: networkEnabled
    administratorRanges: administratorRanges
  }
}

module database 'modules/database.bicep' = if (databaseEnabled) {
  scope: group
  params: {
    name: names.server
    location: location
    tags: tags
    administratorId: administratorId
    administratorName: administratorName
    administratorType: principalType
    workspaceId: monitoring.outputs.workspaceId
    openToAzure: openToAzure
    administratorRanges: administratorRanges
    redundancy: redundancy
    pauseMinutes: databasePauseMinutes
    freeOffer: databaseFreeOffer
    backupDays: databaseBackupDays
    threatDetection: databaseThreatDetection
  }
}

module network 'modules/network.bicep' = if (networkEnabled) {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    range: networkRange
    dnsServers: dnsServers
    hubNetworkId: hubNetworkId
    onPremisesRanges: onPremisesRanges
    hubFirewallAddress: hubFirewallAddress
    administratorRanges: administratorRanges
  }
}

module endpoints 'modules/endpoints.bicep' = if (networkEnabled) {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    networkId: networkEnabled ? network!.outputs.networkId : ''
    subnetId: networkEnabled ? network!.outputs.endpointsSubnetId : ''
    hostStorageId: storage.outputs.hostStorageId
    dataStorageId: storage.outputs.dataStorageId
    vaultId: vault.outputs.vaultId
    withDatabase: databaseEnabled
    serverId: databaseEnabled ? database!.outputs.serverId : ''
  }
}

module roles 'modules/roles.bicep' = {
  scope: group
  params: {
    token: token
    identityName: names.identity
    hostStorageName: names.hostStorage
    dataStorageName: names.dataStorage
    settingsContainer: settingsContainer
    vaultName: names.vault
    secrets: secrets
    sealKey: sealKeyEnabled ? sealKey : ''
    blobTags: blobTags
    insightsName: names.insights
    deployerId: principalId
    deployerType: principalTypes[principalType]
  }
  dependsOn: [identity, monitoring, storage, vault]
}

module app 'modules/app.bicep' = {
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    identityName: names.identity
    hostStorageName: names.hostStorage
    insightsName: names.insights
    workspaceId: monitoring.outputs.workspaceId
    settingsUrl: '${storage.outputs.dataBlobUrl}${settingsContainer}/bic.toml'
    tickSchedule: tickSchedule
    visitMinutes: visitMinutes
    maximumInstances: maximumInstances
    zoneRedundant: zoneRedundant
    siteUpdateStrategy: siteUpdateStrategy
    callerRanges: callerRanges
    administratorRanges: administratorRanges
    openTelemetry: openTelemetry
    pageKeyName: pageKeyName
    viewKeyName: viewKeyName
    entraClientId: entraClientId
    subnetId: networkEnabled ? network!.outputs.appSubnetId : ''
  }
  dependsOn: [roles]
}

@description('The region again, for azd.')
output AZURE_LOCATION string = location

@description('Name of the function app.')
output BIC_FUNCTION_APP string = app.outputs.appName

@description('Storage account of settings and files.')
output BIC_DATA_ACCOUNT string = storage.outputs.dataStorageName

@description('Its container of bic.toml.')
output BIC_SETTINGS_CONTAINER string = storage.outputs.settingsContainer

@description('For [destinations.archive] in bic.toml.')
output BIC_ARCHIVE_URL string = '${storage.outputs.dataBlobUrl}archive'

@description('For [destinations.backups] in bic.toml.')
output BIC_BACKUPS_URL string = '${storage.outputs.dataBlobUrl}backups'

@description('For [ledger] in bic.toml.')
output BIC_LEDGER_URL string = storage.outputs.hostTableUrl

@description('For [key_vault] in bic.toml.')
output BIC_KEY_VAULT_URL string = vault.outputs.vaultUrl

@description('For [seal] in bic.toml: keyvault: and this name; empty: there is no key.')
output BIC_SEAL_KEY string = vault.outputs.sealKeyName

@description('The identity of the app, by client id.')
output BIC_IDENTITY_CLIENT_ID string = identity.outputs.clientId

@description('The identity of the app, by name: that of its user in the database.')
output BIC_IDENTITY_NAME string = identity.outputs.identityName

@description('For [destinations.warehouse] in bic.toml; empty: there is no database.')
output BIC_SQL_SERVER string = databaseEnabled ? database!.outputs.serverHost : ''

@description('The statements that let the app into the database; its administrator runs them once.')
output BIC_SQL_USER string = databaseEnabled ? databaseUser(names.identity, identity.outputs.clientId) : ''
