// Two accounts, because the Functions host must own the blobs of its own one: host (queues, ledger, code) and data (settings, files).
import { publicRules } from 'ranges.bicep'

@description('Name of the account of the Functions host.')
param hostName string

@description('Name of the account of settings and files.')
param dataName string

@description('Azure region.')
param location string

@description('Tags of what is made.')
param tags { *: string }

@description('Local, Zone or Geo.')
param redundancy string

@description('Resource id of the workspace that the logs go to.')
param workspaceId string

@description('Container of bic.toml.')
param settingsContainer string

@description('Days for which the archive refuses every change and deletion; 0: it does not.')
param archiveRetentionDays int

@description('Reached by private endpoints only.')
param privateOnly bool

@description('Address ranges from which settings may be written all the same.')
param administratorRanges string[]

@description('Where copies are kept, as storage accounts call it.')
var skus = { Local: 'Standard_LRS', Zone: 'Standard_ZRS', Geo: 'Standard_GRS' }

@description('Tables of the ledger.')
var ledgerTables = ['bicstate', 'bicitems', 'bicdue', 'bicruns', 'bicindex', 'bicjournal', 'bicseals']

@description('Queues of visits.')
var queues = ['bic-visits', 'bic-visits-poison']

@description('The ranges as firewall rules.')
var rules = map(publicRules(administratorRanges), range => { value: range, action: 'Allow' })

@description('Who may knock at both accounts.')
var network = {
  bypass: 'None'
  defaultAction: privateOnly ? 'Deny' : 'Allow'
  ipRules: privateOnly ? rules : []
}

@description('What holds for both accounts: no key, no public access, no copies to other tenants, no signature that lives long.')
var guarded = {
  allowSharedKeyAccess: false
  allowBlobPublicAccess: false
  allowCrossTenantReplication: false
  allowedCopyScope: 'AAD'
  defaultToOAuthAuthentication: true
  supportsHttpsTrafficOnly: true
  minimumTlsVersion: 'TLS1_2'
  sasPolicy: { expirationAction: 'Block', sasExpirationPeriod: '0.01:00:00' }
  networkAcls: network
}

@description('Days in which something deleted or replaced by mistake can be brought back.')
var forgivingDays = 30

resource host 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: hostName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: skus[redundancy] }
  properties: union(guarded, { publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled' })

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      containerDeleteRetentionPolicy: { enabled: true, days: forgivingDays }
    }

    resource deployment 'containers' = {
      name: 'deployment'
      properties: { publicAccess: 'None' }
    }

    resource uploads 'containers' = {
      name: 'bic-uploads'
      properties: { publicAccess: 'None' }
    }
  }

  resource queueService 'queueServices' = {
    name: 'default'

    resource visits 'queues' = [
      for name in queues: {
        name: name
      }
    ]
  }

  resource tableService 'tableServices' = {
    name: 'default'

    resource ledger 'tables' = [
      for name in ledgerTables: {
        name: name
      }
    ]
  }
}

// What is staged for a test download is deleted by bic itself; what a killed request left goes after a day.
resource uploadsEnd 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: host
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'uploads-end'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['bic-uploads/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 1 } } }
          }
        }
      ]
    }
  }
}

resource data 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: dataName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: skus[redundancy] }
  properties: union(guarded, {
    accessTier: 'Cool'
    publicNetworkAccess: privateOnly && empty(rules) ? 'Disabled' : 'Enabled'
  })

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      isVersioningEnabled: true
      changeFeed: { enabled: true, retentionInDays: 90 }
      deleteRetentionPolicy: { enabled: true, days: forgivingDays }
      containerDeleteRetentionPolicy: { enabled: true, days: forgivingDays }
    }

    resource settings 'containers' = {
      name: settingsContainer
      properties: { publicAccess: 'None' }
    }

    resource archive 'containers' = {
      name: 'archive'
      properties: { publicAccess: 'None' }

      // Unlocked: it can still be lengthened, shortened and taken away. docs/infrastructure.md: how to lock it for good.
      resource retention 'immutabilityPolicies' = if (archiveRetentionDays > 0) {
        name: 'default'
        properties: {
          immutabilityPeriodSinceCreationInDays: archiveRetentionDays
          allowProtectedAppendWrites: false
        }
      }
    }

    // Apart from the archive: old backups are removed by retention_count, which a retention policy would refuse.
    resource backups 'containers' = {
      name: 'backups'
      properties: { publicAccess: 'None' }
    }
  }
}

// What was replaced or removed stays as an older version for a while, not for ever.
resource versionsEnd 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: data
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'versions-end'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: forgivingDays } } }
          }
        }
      ]
    }
  }
  dependsOn: [data::blobs]
}

// Who read, wrote or deleted a file or the settings.
#disable-next-line use-recent-api-versions // Azure offers logs in no other version
resource dataAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: data::blobs
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'StorageRead', enabled: true }
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
  }
}

// Who changed the ledger. Reading is left out: the app reads it many times a minute, and nothing of a session is in it.
#disable-next-line use-recent-api-versions // Azure offers logs in no other version
resource ledgerAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: host::tableService
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
  }
}

// Who changed the program or the keys of its routes, or took an upload out.
#disable-next-line use-recent-api-versions // Azure offers logs in no other version
resource hostAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: host::blobs
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
  }
}

@description('Resource id of the account of the Functions host.')
output hostStorageId string = host.id

@description('Address of its tables.')
output hostTableUrl string = host.properties.primaryEndpoints.table

@description('Resource id of the account of settings and files.')
output dataStorageId string = data.id

@description('Its name.')
output dataStorageName string = data.name

@description('Address of its blobs.')
output dataBlobUrl string = data.properties.primaryEndpoints.blob

@description('Name of the container of bic.toml.')
output settingsContainer string = data::blobs::settings.name
